//! What is written reads back.

use portcullis_policy::{Filter, Source, toml};
use proptest::prelude::*;

use crate::model::{call, policy};

fn read(text: &str) -> Result<Source, TestCaseError> {
    let read = toml::source(text, &toml::NoIncludes);
    read.map_err(|e| TestCaseError::fail(format!("{e} at {:?}\n{text}", e.place)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_reads_back(policy in policy(), calls in prop::collection::vec(call(), 64)) {
        let text = toml::write(&policy);
        let source = read(&text)?;
        prop_assert_eq!(&source.remarks, &[]);
        let again = toml::read(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
        // Rules stay what they are, one by one; conditions can lose what makes no difference.
        prop_assert_eq!(again.foreign, policy.foreign);
        prop_assert_eq!(&again.phases, &policy.phases);
        prop_assert_eq!(again.ramp, policy.ramp);
        prop_assert_eq!(again.tables.len(), policy.tables.len());
        for (own, was) in again.tables.iter().zip(&policy.tables) {
            prop_assert_eq!(own.arch, was.arch);
            prop_assert_eq!(own.baseline, was.baseline);
            prop_assert_eq!((own.default, own.newer), (was.default, was.newer));
            prop_assert_eq!(own.x32_is_native, was.x32_is_native);
            prop_assert_eq!(own.rules.len(), was.rules.len(), "{}", text);
            for (own, was) in own.rules.iter().zip(&was.rules) {
                prop_assert_eq!(own.calls, was.calls);
                prop_assert_eq!(own.action, was.action);
                prop_assert_eq!(&own.provenance, &was.provenance);
                for call in &calls {
                    let holds = |of: &[portcullis_policy::Condition]| of.iter().all(|c| c.holds(&call.args));
                    prop_assert_eq!(holds(&own.conditions), holds(&was.conditions), "{}", text);
                }
            }
        }
        for call in &calls {
            prop_assert_eq!(again.decide(call), policy.decide(call), "{:?}\n{}", call, text);
        }
        // What was read once reads back exactly.
        prop_assert_eq!(toml::read(&toml::write(&again)), Ok(again));
        prop_assert_eq!(toml::fmt(&text).map_err(|e| TestCaseError::fail(e.to_string()))?, text);
    }

    #[test]
    fn filters_read_back(first in policy(), second in policy(), named in any::<bool>(), calls in prop::collection::vec(call(), 32)) {
        let filter = |name: Option<&str>, policy| Filter { name: name.map(str::to_owned), policy, places: Vec::new() };
        let source = Source {
            filters: vec![filter(named.then_some("vmm"), first), filter(Some("a \"b\" c"), second)],
            remarks: Vec::new(),
        };
        let again = read(&toml::write_source(&source))?;
        prop_assert_eq!(again.filters.len(), 2);
        for (own, was) in again.filters.iter().zip(&source.filters) {
            prop_assert_eq!(&own.name, &was.name);
            for call in &calls {
                prop_assert_eq!(own.policy.decide(call), was.policy.decide(call));
            }
        }
    }

    /// Each rule has its place: the place of a rule is its section.
    #[test]
    fn places_are_sections(policy in policy()) {
        let text = toml::write(&policy);
        for filter in read(&text)?.filters {
            for (table, places) in filter.policy.tables.iter().zip(&filter.places) {
                prop_assert_eq!(table.rules.len(), places.len());
                for place in places {
                    prop_assert!(text[place.start..place.end].starts_with("[[rule]]\ncall"));
                    prop_assert!(!text[place.start + 2..place.end].contains("\n[["));
                }
            }
        }
    }
}
