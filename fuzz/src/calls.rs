//! Calls at which two answers may differ: about the constants of a policy or of a filter, and beside them.

use portcullis_abi::Arch;
use portcullis_bpf::Program;
use portcullis_policy::{Call, Op, Policy};

/// How many are made of one subject.
const MOST: usize = 256;

/// Those about the constants of a filter.
pub(crate) fn of_program(program: &Program) -> Vec<Call> {
    let all = program.instructions().iter().map(|i| u64::from(i.k));
    of(all.collect(), Vec::new())
}

/// Those about the numbers and values of a policy.
pub(crate) fn of_policy(policy: &Policy) -> Vec<Call> {
    let rules = || policy.tables.iter().flat_map(|table| &table.rules);
    let numbers = rules().flat_map(|rule| [rule.calls.first.0, rule.calls.last.0]);
    let conditions = rules().flat_map(|rule| &rule.conditions);
    let values = conditions.flat_map(|condition| constants(&condition.op));
    of(values.collect(), numbers.collect())
}

fn constants(op: &Op) -> Vec<u64> {
    match op {
        Op::Equal(v) | Op::NotEqual(v) | Op::Less(v) => vec![*v],
        Op::LessEqual(v) | Op::Greater(v) | Op::GreaterEqual(v) => vec![*v],
        Op::Masked { mask, value } | Op::NotMasked { mask, value } => {
            vec![*mask, *value, value | !mask]
        }
        Op::In(all) | Op::NotIn(all) => all.iter().flat_map(|(low, high)| [*low, *high]).collect(),
    }
}

/// Combinations of these words with those of architectures and the ends of ranges; always the same ones.
fn of(values: Vec<u64>, mut numbers: Vec<u32>) -> Vec<Call> {
    let low = |value: &u64| *value as u32;
    let mut arches: Vec<u32> = Arch::ALL.iter().map(|arch| arch.audit_arch()).collect();
    arches.extend(values.iter().map(low).take(16));
    numbers.extend(values.iter().map(low));
    numbers.extend([0, 1, Arch::X32_BIT, u32::MAX]);
    let mut words = values;
    words.extend([0, u64::MAX, 1 << 32]);
    let mut state = 0;
    let mut next = |below: usize| {
        let word = random(&mut state);
        let around = [0, 0, 0, 1, u64::MAX][usize::try_from(word >> 61).unwrap_or(0) % 5];
        (
            usize::try_from(word & 0xffff_ffff).unwrap_or(0) % below,
            around,
        )
    };
    let call = |_| {
        let (arch, _) = next(arches.len());
        let (number, beside) = next(numbers.len());
        let mut word = || {
            let (low, beside) = next(words.len());
            let (high, _) = next(words.len());
            let value = words[low].wrapping_add(beside);
            // Filters look at halves.
            match beside {
                1 => value & 0xffff_ffff | words[high] << 32,
                _ => value,
            }
        };
        Call {
            ip: word(),
            args: std::array::from_fn(|_| word()),
            arch: arches[arch],
            number: numbers[number].wrapping_add(beside as u32),
        }
    };
    (0..MOST).map(call).collect()
}

/// A number without a pattern: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
