//! Paths that the file layer knows: where a system and its programs keep what others must not see.

use std::ffi::CStr;

/// Directories for what lasts no longer than a run, or is a meeting place of processes (hier(7)); each becomes
/// an empty one of the program's own, with this mode.
pub(crate) const PRIVATE: [(&str, &str); 4] = [
    ("/tmp", "1777"),
    ("/var/tmp", "1777"),
    ("/run", "755"),
    ("/var/run", "755"),
];

/// Device files that programs need and that give nothing (null(4), random(4), tty(4), full(4)).
pub(crate) const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// Names in `/dev` that lead elsewhere.
pub(crate) const DEVICE_LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "/dev/fd"),
    ("fd/0", "/dev/stdin"),
    ("fd/1", "/dev/stdout"),
    ("fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
];

/// Parts of `/proc` through which a process changes the machine; they can be read only.
pub(crate) const PROC_READ_ONLY: [&CStr; 7] = [
    c"/proc/sys",
    c"/proc/sysrq-trigger",
    c"/proc/irq",
    c"/proc/bus",
    c"/proc/fs",
    c"/proc/acpi",
    c"/proc/scsi",
];

/// Files of `/proc` that show memory or secrets of others to who is root; they read as empty.
pub(crate) const PROC_HIDDEN: [&CStr; 6] = [
    c"/proc/kcore",
    c"/proc/keys",
    c"/proc/kpagecount",
    c"/proc/kpageflags",
    c"/proc/kpagecgroup",
    c"/proc/timer_list",
];

/// Parts of `/sys` that are about the kernel's inside and the machine's firmware.
pub(crate) const SYSTEM_HIDDEN: [&str; 6] = [
    "/sys/firmware",
    "/sys/fs/bpf",
    "/sys/fs/pstore",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
];

/// Directories of the system (hier(7)): who works in one is not the owner of all that is below it.
pub(crate) const SYSTEM: [&str; 17] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt",
    "/proc", "/run", "/sbin", "/sys", "/usr", "/var",
];

/// Files of the system that only root reads, hidden from a program that root starts.
pub(crate) const ROOT_HIDDEN: [&str; 9] = [
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssl/private",
    "/var/lib/private",
];

/// Where programs keep keys, tokens, passwords and sessions, below a home directory (each as the program's own
/// documentation names it).
pub(crate) const HOME_SECRETS: [&str; 47] = [
    ".aws",
    ".azure",
    ".bash_history",
    ".boto",
    ".bundle/config",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".composer/auth.json",
    ".config/BraveSoftware",
    ".config/Bitwarden",
    ".config/chromium",
    ".config/containers/auth.json",
    ".config/gcloud",
    ".config/gh",
    ".config/git/credentials",
    ".config/glab-cli",
    ".config/google-chrome",
    ".config/helm",
    ".config/hub",
    ".config/op",
    ".config/rclone",
    ".config/sops",
    ".docker/config.json",
    ".electrum",
    ".gem/credentials",
    ".git-credentials",
    ".gnupg",
    ".kube",
    ".local/share/keyrings",
    ".m2/settings.xml",
    ".mozilla",
    ".my.cnf",
    ".mysql_history",
    ".netrc",
    ".node_repl_history",
    ".npmrc",
    ".password-store",
    ".pgpass",
    ".pki",
    ".psql_history",
    ".pypirc",
    ".python_history",
    ".ssh",
    ".terraform.d/credentials.tfrc.json",
    ".thunderbird",
    ".vault-token",
    ".zsh_history",
];
