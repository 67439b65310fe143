//! Whether programs can be run on this machine: one refusal that says what is missing, before anything is
//! analysed.

use portcullis_abi::KernelVersion;
use portcullis_sys::seccomp;

/// Why no program can be run here, if so.
pub(crate) fn refusal() -> Option<String> {
    let name = rustix::system::uname();
    let [system, release] = [name.sysname(), name.release()].map(|text| text.to_string_lossy());
    of_kernel(&system, &release).or_else(|| {
        let reason = seccomp::takes_filters().err()?;
        Some(format!(
            "this kernel takes no filters ({reason}): it needs CONFIG_SECCOMP_FILTER, and a container's own \
             filter must allow seccomp(2)"
        ))
    })
}

/// By what uname(2) says. A release of a form that nobody knows is for the probes that follow to judge.
fn of_kernel(system: &str, release: &str) -> Option<String> {
    if system != "Linux" {
        return Some(format!("programs are run on Linux, and this is {system}"));
    }
    let version: KernelVersion = release.parse().ok()?;
    let old = version < KernelVersion::OLDEST;
    old.then(|| {
        let oldest = KernelVersion::OLDEST;
        format!("programs are run on Linux {oldest} and newer, and this is {release}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_kernel_and_another_system_are_refused() {
        for release in [
            "6.1.0-50-cloud-amd64",
            "5.10.0",
            "7.3.4+deb13-amd64",
            "unknown",
        ] {
            assert_eq!(of_kernel("Linux", release), None, "{release}");
        }
        let old = of_kernel("Linux", "5.9.16-generic").unwrap();
        assert!(
            old.contains("5.10") && old.contains("5.9.16-generic"),
            "{old}"
        );
        assert!(of_kernel("Linux", "2.6.78").is_some());
        assert!(of_kernel("GNU", "0.9").unwrap().contains("GNU"));
    }
}
