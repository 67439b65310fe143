//! A machine that writes down what instructions do, for tests.

use super::{Binary, Compare, Condition, Flow, Lane, Lifter, Machine, Reg};
use super::{Convention, aarch64};

/// Values are expressions.
#[derive(Default)]
pub(super) struct Text {
    values: Vec<String>,
    /// What was done, in order.
    pub(super) effects: Vec<String>,
}

/// An expression of a [`Text`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Expression(usize);

impl Text {
    fn value(&mut self, text: String) -> Expression {
        self.values.push(text);
        Expression(self.values.len() - 1)
    }

    fn of(&self, v: Expression) -> &str {
        &self.values[v.0]
    }

    fn effect(&mut self, text: String) {
        self.effects.push(text);
    }

    fn flags(&self, kind: Compare, bits: u8, a: Expression, b: Expression) -> String {
        let (a, b) = (self.of(a), self.of(b));
        match kind {
            Compare::Difference => format!("{a} - {b} : {bits}"),
            Compare::Conjunction | Compare::Bits => format!("{a} & {b} : {bits}"),
            Compare::Result => format!("{a} : {bits}"),
        }
    }

    /// What the flow of an instruction is, as text.
    pub(super) fn flow(&self, flow: Flow<Expression>) -> String {
        match flow {
            Flow::Next => String::new(),
            Flow::Jump(to) => format!("jump {to:#x}"),
            Flow::Branch(v, to) => format!("if {} jump {to:#x}", self.of(v)),
            Flow::JumpIndirect(v) => format!("jump {}", self.of(v)),
            Flow::Call(to) => format!("call {to:#x}"),
            Flow::CallIndirect(v) => format!("call {}", self.of(v)),
            Flow::Return => "return".into(),
            Flow::Syscall => "system call".into(),
            Flow::ForeignSyscall(kind) => kind.into(),
            Flow::Stop => "stop".into(),
            Flow::Invalid => "invalid".into(),
        }
    }
}

/// What these words do at 0x1000, the effects of each joined by `; `.
pub(super) fn of_words(convention: &Convention, words: &[u32]) -> String {
    let code: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut text = Text::default();
    let (_, flow) = Lifter::of(convention).lift(&code, 0x1000, &mut text);
    let flow = text.flow(flow);
    if !flow.is_empty() {
        text.effects.push(flow);
    }
    text.effects.join("; ")
}

/// Compares what instructions do with what they should, given as the instruction, its word and
/// its effects.
#[track_caller]
pub(super) fn check(cases: &[(&str, u32, &str)]) {
    let found = |&(name, word, wanted): &(&str, u32, &str)| {
        let found = of_words(&aarch64::CONVENTION, &[word]);
        (found != wanted).then(|| format!("{name}\n  found  {found}\n  wanted {wanted}"))
    };
    let wrong: Vec<String> = cases.iter().filter_map(found).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn name(reg: Reg) -> String {
    match reg {
        aarch64::SP => "sp".into(),
        Reg(n) => format!("x{n}"),
    }
}

impl Machine for Text {
    type V = Expression;

    fn constant(&mut self, value: u64) -> Expression {
        let text = match value {
            0..10 => format!("{value}"),
            _ if value >= u64::MAX - 4095 => format!("-{:#x}", value.wrapping_neg()),
            _ => format!("{value:#x}"),
        };
        self.value(text)
    }

    fn opaque(&mut self, index: u8) -> Expression {
        self.value(format!("?{index}"))
    }

    fn thread_pointer(&mut self) -> Expression {
        self.value("thread".into())
    }

    fn get(&mut self, reg: Reg) -> Expression {
        self.value(name(reg))
    }

    fn put(&mut self, reg: Reg, value: Expression) {
        self.effect(format!("{} = {}", name(reg), self.of(value)));
    }

    fn lane(&mut self, lane: Lane) -> Expression {
        self.value(format!("v{}.{}", lane.0, lane.1))
    }

    fn put_lane(&mut self, lane: Lane, value: Expression) {
        self.effect(format!("v{}.{} = {}", lane.0, lane.1, self.of(value)));
    }

    fn forget_lane(&mut self, lane: Lane) {
        self.effect(format!("v{}.{} = ?", lane.0, lane.1));
    }

    fn lose(&mut self, value: Expression) {
        self.effect(format!("lose {}", self.of(value)));
    }

    fn binary(&mut self, op: Binary, a: Expression, b: Expression) -> Expression {
        let op = match op {
            Binary::Add => "+",
            Binary::Sub => "-",
            Binary::Mul => "*",
            Binary::And => "&",
            Binary::Or => "|",
            Binary::Xor => "^",
            Binary::Shl => "<<",
            Binary::Shr => ">>",
            Binary::Sar => ">>>",
        };
        let text = format!("({} {op} {})", self.of(a), self.of(b));
        self.value(text)
    }

    fn zero_extend(&mut self, value: Expression, bits: u8) -> Expression {
        let text = format!("u{bits}({})", self.of(value));
        self.value(text)
    }

    fn sign_extend(&mut self, value: Expression, bits: u8) -> Expression {
        let text = format!("s{bits}({})", self.of(value));
        self.value(text)
    }

    fn load(&mut self, address: Expression, size: u8) -> Expression {
        let text = format!("[{}]{size}", self.of(address));
        self.value(text)
    }

    fn load_target(&mut self, address: Expression) -> Expression {
        let text = format!("target[{}]", self.of(address));
        self.value(text)
    }

    fn store(&mut self, address: Expression, size: u8, value: Expression) {
        self.effect(format!("[{}]{size} = {}", self.of(address), self.of(value)));
    }

    fn store_unknown(&mut self, address: Expression) {
        self.effect(format!("[{}] = ?", self.of(address)));
    }

    fn read_unknown(&mut self, address: Expression, size: Option<u64>) {
        let size = size.map_or("?".into(), |s| s.to_string());
        self.effect(format!("lose [{}]{size}", self.of(address)));
    }

    fn compare(&mut self, kind: Compare, bits: u8, a: Expression, b: Expression) {
        let text = self.flags(kind, bits, a, b);
        self.effect(format!("flags = {text}"));
    }

    fn compare_if(
        &mut self,
        condition: Expression,
        (kind, bits, a, b): (Compare, u8, Expression, Expression),
        (other, x, y): (Compare, u64, u64),
    ) {
        let yes = self.flags(kind, bits, a, b);
        let (x, y) = (self.constant(x), self.constant(y));
        let no = self.flags(other, 64, x, y);
        self.effect(format!("flags = ({} ? {yes} : {no})", self.of(condition)));
    }

    fn test(
        &mut self,
        condition: Condition,
        kind: Compare,
        bits: u8,
        a: Expression,
        b: Expression,
    ) -> Expression {
        let text = self.flags(kind, bits, a, b);
        self.value(format!("{condition:?}({text})"))
    }

    fn forget_flags(&mut self) {
        self.effect("flags = ?".into());
    }

    fn condition(&mut self, condition: Condition) -> Expression {
        self.value(format!("{condition:?}"))
    }

    fn select(&mut self, condition: Expression, a: Expression, b: Expression) -> Expression {
        let [condition, a, b] = [condition, a, b].map(|v| self.of(v).to_owned());
        self.value(format!("({condition} ? {a} : {b})"))
    }
}
