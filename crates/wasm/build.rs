//! Builds the worker programs that are carried (feature `carried`): static, in a build directory of their own, because
//! they are built for another C library form and with other settings than what carries them.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "carried")]
    carried::build()?;
    Ok(())
}

#[cfg(feature = "carried")]
mod carried {
    use std::env;
    use std::error::Error;
    use std::fmt::Write as _;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use sha2::{Digest as _, Sha256};

    /// The feature that makes each program, which is also the end of its name.
    const PROGRAMS: [&str; 2] = ["execute", "prepare"];
    /// Its sources, and those of all that it is made of.
    const CRATES: [&str; 8] = [
        "abi", "bpf", "host", "policy", "sandbox", "sys", "wasm", "watch",
    ];

    /// Writes `workers.rs`: for each program its bytes and their hash.
    pub(super) fn build() -> Result<(), Box<dyn Error>> {
        // Asked when this runs: a build directory may have been made of another checkout.
        let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..");
        let out = PathBuf::from(env::var("OUT_DIR")?);
        for name in CRATES {
            for part in ["src", "Cargo.toml", "policy"] {
                let path = root.join("crates").join(name).join(part);
                if path.exists() {
                    println!("cargo::rerun-if-changed={}", path.display());
                }
            }
        }
        println!(
            "cargo::rerun-if-changed={}",
            root.join("Cargo.lock").display()
        );
        let mut text = String::new();
        for program in PROGRAMS {
            let built = one(&root, &out, program)?;
            let carried = out.join(program);
            fs::copy(&built, &carried)?;
            let hash: [u8; 32] = Sha256::digest(fs::read(&carried)?).into();
            let name = program.to_uppercase();
            writeln!(text, "/// `portcullis-wasm-{program}`.")?;
            writeln!(
                text,
                "const {name}: &[u8] = include_bytes!({:?});",
                carried.display()
            )?;
            writeln!(text, "/// Its SHA-256 when it was built.")?;
            writeln!(text, "const {name}_SHA256: [u8; 32] = {hash:?};")?;
        }
        fs::write(out.join("workers.rs"), text)?;
        Ok(())
    }

    /// Builds one program, and says where it is.
    fn one(root: &Path, out: &Path, program: &str) -> Result<PathBuf, Box<dyn Error>> {
        let target = env::var("TARGET")?;
        // `<target>/<profile>/build/<package>/out`, or with the target's name before the profile: all profiles
        // share one directory of workers.
        let shared = out.ancestors().nth(4).unwrap_or(out);
        let shared = match shared
            .file_name()
            .is_some_and(|name| name == target.as_str())
        {
            true => shared.parent().unwrap_or(shared),
            false => shared,
        };
        let directory = shared.join("worker");
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
        flags.extend(linker(&target).map(|linker| format!("-Clinker={linker}")));
        flags.extend(one_segment(&target, out)?);
        let mut cargo = Command::new(env::var("CARGO")?);
        cargo
            .args(["build", "--quiet", "--locked", "--profile", "worker"])
            .args(["--package", "portcullis-wasm", "--features", program])
            .args(["--bin", &format!("portcullis-wasm-{program}")])
            .args(["--target", &target])
            .arg("--target-dir")
            .arg(&directory)
            .current_dir(root)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        // What the outer build is wrapped in (clippy, coverage) is not for what is carried.
        for variable in ["RUSTC_WORKSPACE_WRAPPER", "RUSTC_WRAPPER", "RUSTFLAGS"] {
            cargo.env_remove(variable);
        }
        let status = cargo.status()?;
        if !status.success() {
            return Err(format!("building the worker portcullis-wasm-{program}: {status}").into());
        }
        let name = format!("portcullis-wasm-{program}");
        Ok(directory.join(target).join("worker").join(name))
    }

    /// What has the linker put all that is not written into one segment, which begins at a multiple of 2 MiB: jobs then find
    /// their program as one large page (`portcullis_sys::text::ease_forks`). Only where the linker is LLD, which Rust brings for
    /// this target; a distribution's Rust may not, and its workers do without.
    fn one_segment(target: &str, out: &Path) -> Result<Vec<String>, Box<dyn Error>> {
        let arguments = ["--no-rosegment", "-zmax-page-size=0x200000"];
        let flags = arguments.map(|argument| format!("-Clink-arg=-Wl,{argument}"));
        if target != "x86_64-unknown-linux-gnu" {
            return Ok(Vec::new());
        }
        let probe = out.join("probe.rs");
        fs::write(&probe, "fn main() {}")?;
        let linked = Command::new(env::var("RUSTC")?)
            .args(["--crate-type", "bin", "--target", target])
            .args(&flags)
            .arg("-o")
            .arg(out.join("probe"))
            .arg(&probe)
            .output()?;
        Ok(match linked.status.success() {
            true => flags.into(),
            false => Vec::new(),
        })
    }

    /// The linker that this build was told: by cargo's settings or, for another architecture, by the compiler's flags.
    fn linker(target: &str) -> Option<String> {
        if let Ok(linker) = env::var("RUSTC_LINKER") {
            return Some(linker);
        }
        let flags = env::var("CARGO_ENCODED_RUSTFLAGS").ok()?;
        let mut flags = flags.split('\u{1f}');
        let linker = flags.find_map(|flag| flag.strip_prefix("-Clinker="))?;
        // The machine's own is the default, and no reason to build everything once more.
        let is_foreign = env::var("HOST").is_ok_and(|host| host != target);
        is_foreign.then(|| linker.to_owned())
    }
}
