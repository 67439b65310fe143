//! The kernels of Debian's archive, each kept once it was downloaded.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_abi::{Arch, KernelVersion};

use super::environment::{Kernel, Series};
use crate::apt_root::{self, AptRoot};
use crate::place;

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) file: PathBuf,
    /// As its uname(2) says it.
    pub(crate) release: String,
    pub(crate) version: KernelVersion,
}

/// Where a series is found, and the one of its kernels that is taken while the archive has it, so that what
/// is tested changes with a commit and not with the day. The flavour for virtual machines is the smallest.
struct Shelf {
    series: Series,
    suites: &'static [&'static str],
    pinned: Option<&'static str>,
}

const SHELVES: &[Shelf] = &[
    Shelf {
        series: Series::Of(5, 10),
        suites: &["bullseye"],
        pinned: Some("5.10.0-32"),
    },
    Shelf {
        series: Series::Of(6, 1),
        suites: &["bookworm"],
        pinned: Some("6.1.0-50"),
    },
    Shelf {
        series: Series::Of(6, 12),
        suites: &["trixie"],
        pinned: Some("6.12.117+deb13"),
    },
    Shelf {
        series: Series::Newest,
        suites: &["trixie-backports", "sid"],
        pinned: None,
    },
];

/// Packages that are tried before a series counts as gone: an index can name some that are not there.
const TRIED: usize = 4;

/// What Debian calls an architecture.
fn debian(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        _ => "arm64",
    }
}

/// A kernel that the archive has.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Offer {
    release: String,
    package: String,
    suite: &'static str,
}

impl Offer {
    /// Reads the name of a package: `linux-image-RELEASE`, or `linux-binary-RELEASE`, which holds the file
    /// since 6.19 and makes the other an empty one.
    fn read(package: String, suite: &'static str) -> Option<Offer> {
        let release = package
            .strip_prefix("linux-binary-")
            .or_else(|| package.strip_prefix("linux-image-"))?;
        Some(Offer {
            release: release.to_owned(),
            package,
            suite,
        })
    }

    /// Newer ones are greater: 6.12.9 is before 6.12.10, and of one release the package with the file is
    /// the last.
    fn order(&self) -> (Vec<u32>, bool) {
        let parts = self.release.split(|c: char| !c.is_ascii_digit());
        let numbers = parts.filter_map(|part| part.parse().ok()).collect();
        (numbers, self.package.starts_with("linux-binary-"))
    }
}

/// The kernel, from below the build directory or from the archive.
pub(crate) fn provide(kernel: &Kernel) -> Result<Image> {
    let shelf = SHELVES
        .iter()
        .find(|shelf| shelf.series == kernel.series)
        .with_context(|| format!("nobody knows where {} is", kernel.series))?;
    let flavour = format!("cloud-{}", debian(kernel.arch));
    let kept = place::target().join("kernels").join(debian(kernel.arch));
    let pinned = shelf.pinned.map(|release| format!("{release}-{flavour}"));
    if let Some(release) = &pinned
        && kept.join(release).is_file()
    {
        return image(&kept, release.clone());
    }
    let apt = AptRoot::provide()?;
    let mut offers = Vec::new();
    let wanted = match kernel.series {
        Series::Of(major, minor) => format!("{major}\\.{minor}\\.[^ ]*"),
        Series::Newest => "[0-9]+\\.[0-9]+\\.[^ ]*".to_owned(),
    };
    for suite in shelf.suites {
        let pattern = format!("^linux-(image|binary)-{wanted}-{flavour}$");
        let found = apt.search(&pattern, debian(kernel.arch), suite)?;
        offers.extend(
            found
                .into_iter()
                .filter_map(|name| Offer::read(name, suite)),
        );
    }
    for offer in preferred(offers, pinned.as_deref()) {
        if !kept.join(&offer.release).is_file() {
            match apt.download(&offer.package, debian(kernel.arch), offer.suite) {
                Ok(package) => keep(&package, &kept, &offer.release)?,
                Err(error) => {
                    println!("kernels: {}: {error:#}", offer.package);
                    continue;
                }
            }
        }
        return image(&kept, offer.release);
    }
    bail!(
        "the archive has no kernel {} for {} any more",
        kernel.series,
        debian(kernel.arch)
    )
}

/// The one that is wanted, then the newest ones.
fn preferred(mut offers: Vec<Offer>, pinned: Option<&str>) -> impl Iterator<Item = Offer> {
    offers.sort_by_key(|offer| {
        let wanted = Some(offer.release.as_str()) == pinned;
        std::cmp::Reverse((wanted, offer.order()))
    });
    offers.into_iter().take(TRIED)
}

fn image(kept: &Path, release: String) -> Result<Image> {
    let version = release.parse().context("a kernel's release")?;
    Ok(Image {
        file: kept.join(&release),
        release,
        version,
    })
}

/// Takes the kernel out of its package.
fn keep(package: &Path, kept: &Path, release: &str) -> Result<()> {
    fs::create_dir_all(kept).with_context(|| format!("create {}", kept.display()))?;
    let unpacked = tempfile::tempdir_in(kept)?;
    apt_root::unpack(package, unpacked.path())?;
    let places = [
        format!("boot/vmlinuz-{release}"),
        format!("usr/lib/modules/{release}/vmlinuz"),
    ];
    let places = places.map(|place| unpacked.path().join(place));
    let file = places.iter().find(|file| file.is_file());
    let file = file.with_context(|| format!("{} holds no kernel", package.display()))?;
    ensure!(file.metadata()?.len() > 0, "{}: empty", file.display());
    fs::rename(file, kept.join(release)).with_context(|| format!("keep the kernel {release}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(names: &[&str]) -> Vec<Offer> {
        let read = |name: &&str| Offer::read((*name).to_owned(), "sid");
        names.iter().filter_map(read).collect()
    }

    fn order(names: &[&str], pinned: Option<&str>) -> Vec<String> {
        preferred(offers(names), pinned)
            .map(|offer| offer.package)
            .collect()
    }

    #[test]
    fn the_newest_is_first_and_the_pinned_one_before_it() {
        let names = [
            "linux-image-6.12.9-cloud-amd64",
            "linux-image-6.12.43+deb13-cloud-amd64",
            "linux-image-6.12.10-cloud-amd64",
        ];
        assert_eq!(order(&names, None), [names[1], names[2], names[0]]);
        let pinned = order(&names, Some("6.12.9-cloud-amd64"));
        assert_eq!(pinned, [names[0], names[1], names[2]]);
        let gone = order(&names, Some("6.12.1-cloud-amd64"));
        assert_eq!(gone, [names[1], names[2], names[0]]);
    }

    #[test]
    fn the_package_with_the_file_is_before_the_empty_one() {
        let names = [
            "linux-image-7.3.4-cloud-amd64",
            "linux-binary-7.3.4-cloud-amd64",
        ];
        assert_eq!(order(&names, None), [names[1], names[0]]);
        assert!(offers(&["linux-headers-7.3.4-cloud-amd64"]).is_empty());
    }
}
