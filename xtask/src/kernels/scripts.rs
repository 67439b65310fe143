//! Shell scripts in a machine that has more files than ours: a distribution's, or what a script works on.

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::Arch;

use super::environment::{Kernel, User, Variant};
use super::step::{Ended, Seen, Step, Word};
use super::{QUICK, image, machine, programs};
use crate::needs;

/// What the scripts of a machine are run by, and may use: busybox, statically linked, as `/busybox`.
const SHELL: &str = "busybox";
/// Before the first: the files, and what an installation adds to them: the names of root and
/// of the machine, and the loopback interface.
const INSTALL: &str = "set -e
/busybox tar -xf /tree.tar -C /
/busybox rm /tree.tar
/busybox mkdir -p /etc
echo root:x:0:0:root:/root:/bin/sh >/etc/passwd
echo root:x:0: >/etc/group
echo 127.0.0.1 localhost >/etc/hosts
/busybox hostname localhost
/busybox ip link set lo up
";
/// How long one may take.
const SECONDS: u32 = 120;

/// A script, and the file that it finds as `/input`.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) input: Vec<u8>,
}

/// Boots a machine with the newest kernel of the quick row, unpacks the tar archive `tree` at its root, and
/// runs the scripts as root, one after the other. `others` are further files, by name, at the root.
pub(crate) fn run_scripts(
    arch: Arch,
    shell: Vec<u8>,
    tree: Vec<u8>,
    others: Vec<(&str, Vec<u8>)>,
    scripts: &[Script],
) -> Result<Vec<Seen>> {
    let missing = needs::provide()?;
    ensure!(missing.is_empty(), "missing: {}", missing.join(" "));
    let series = QUICK[QUICK.len() - 1];
    let image = image::provide(&Kernel { series, arch })
        .with_context(|| format!("the kernel {series} for {arch}"))?;
    let mut files = programs::provide(arch)?;
    files.add(SHELL, shell);
    files.add("tree.tar", tree);
    for (name, content) in others {
        files.add(name, content);
    }
    let mut steps = vec![step("install", &mut files, INSTALL.to_owned())];
    for (at, script) in scripts.iter().enumerate() {
        let input = format!("input-{at}");
        let text = format!("/busybox mv /{input} /input\n{}", script.text);
        files.add(input, script.input.clone());
        steps.push(step(&format!("script-{at}"), &mut files, text));
    }
    let mut seen = machine::boot(&image, arch, Variant::Plain, files, &steps)?.seen;
    let installed = seen.remove(0);
    ensure!(
        installed.ended == Ended::Exit(0),
        "install the files: {:?}: {}",
        installed.ended,
        String::from_utf8_lossy(&installed.stderr)
    );
    Ok(seen)
}

fn step(name: &str, files: &mut super::initramfs::Files, text: String) -> (u32, Step) {
    files.add(name, text);
    let step = Step {
        program: SHELL.to_owned(),
        environment: Vec::new(),
        arguments: vec![Word::from("sh"), Word::File(name.to_owned())],
        seconds: SECONDS,
    };
    (User::Root.id(), step)
}
