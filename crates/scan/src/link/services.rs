//! Name services: modules that glibc loads by what `nsswitch.conf` says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::files::Files;

/// Services that glibc 2.34 and later answers by itself.
const BUILT_IN: [&str; 2] = ["files", "dns"];
/// What glibc looks up when the file or a database's line is missing (nss/nss_database.c).
const DEFAULTS: &str = "passwd: files\nhosts: files dns\nnetworks: files dns\n";
/// More services than any file names.
const MOST_SERVICES: usize = 64;

/// The modules that `/etc/nsswitch.conf` names and that exist, by path, each once.
///
/// They are no part of a program's closure: whoever links decides whether a program can come to
/// load them, and gives them as [`super::LinkRequest::plugins`].
pub fn name_services(files: &dyn Files) -> Vec<PathBuf> {
    let file = files.read(Path::new("/etc/nsswitch.conf"));
    let text = file.map_or_else(|_| DEFAULTS.as_bytes().to_vec(), |f| f.bytes);
    let text = String::from_utf8_lossy(&text);
    let directories = directories(files);
    let mut found = Vec::new();
    for service in services(&text).into_iter().take(MOST_SERVICES) {
        let name = format!("libnss_{service}.so.2");
        let path = directories.iter().map(|d| d.join(&name));
        found.extend(path.into_iter().find(|p| files.read(p).is_ok()));
    }
    found
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

/// Where libraries are: the cache knows every directory that is configured.
fn directories(files: &dyn Files) -> Vec<PathBuf> {
    let cache = files.read(Path::new("/etc/ld.so.cache"));
    let cache = cache.map_or_else(|_| Vec::new(), |f| f.bytes);
    let paths = super::cache::read(&cache, &[]);
    let mut all: BTreeSet<PathBuf> = paths
        .values()
        .filter_map(|p| p.parent())
        .map(Path::to_owned)
        .collect();
    all.extend(
        [
            "/lib/x86_64-linux-gnu",
            "/lib64",
            "/usr/lib64",
            "/lib",
            "/usr/lib",
        ]
        .map(PathBuf::from),
    );
    all.into_iter().collect()
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
