//! Name services: modules that glibc loads by what `nsswitch.conf` says.

use std::collections::BTreeSet;

/// Services that glibc 2.34 and later answers by itself.
const BUILT_IN: [&str; 2] = ["files", "dns"];
/// What glibc looks up when the file or a database's line is missing (nss/nss_database.c).
const DEFAULTS: &str = "passwd: files\nhosts: files dns\nnetworks: files dns\n";
/// More services than any file names.
const MOST_SERVICES: usize = 64;

/// The file names of the modules that a configuration names; `None` is a file that is not there.
pub(super) fn modules(configuration: Option<&[u8]>) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(configuration.unwrap_or(DEFAULTS.as_bytes()));
    let some = services(&text).into_iter().take(MOST_SERVICES);
    some.map(|service| format!("libnss_{service}.so.2").into_bytes())
        .collect()
}

/// The services that the file's lines name, without what is built in.
fn services(text: &str) -> BTreeSet<&str> {
    let mut all = BTreeSet::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or(line);
        let Some((_, services)) = line.split_once(':') else {
            continue;
        };
        // `[NOTFOUND=return]` between services says what to do, and may hold blanks.
        let mut action = false;
        for word in services.split_whitespace() {
            action |= word.starts_with('[');
            let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !action && word.chars().all(name) && !BUILT_IN.contains(&word) {
                all.insert(word);
            }
            action &= !word.ends_with(']');
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_comments_and_built_in_services_are_no_modules() {
        let text = "# passwd: ldap\npasswd: files systemd [!UNAVAIL = return] sss # nis\n\
                    hosts: files mdns4_minimal [NOTFOUND=return] dns\nbroken line\n\
                    x: ../evil\n";
        let found: Vec<_> = services(text).into_iter().collect();
        assert_eq!(found, ["mdns4_minimal", "sss", "systemd"]);
    }
}
