//! The floor: `bench/job/floor.c`, in a control group of its own.

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Its file.
pub(crate) fn program() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::var_os("PORTCULLIS_FLOOR");
    Ok(program.ok_or("`cargo xtask bench job` runs this")?.into())
}

/// The floor, warm.
pub(crate) struct Floor {
    group: PathBuf,
    child: Child,
    orders: ChildStdin,
    times: BufReader<ChildStdout>,
}

impl Floor {
    /// With the filter and the artifact in `place`.
    pub(crate) fn start(place: &Path) -> Result<Floor, Box<dyn Error>> {
        let (group, counters) = group()?;
        let mut child = Command::new(program()?)
            .arg(place.join("artifact"))
            .arg(place.join("filter"))
            .arg(counters)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        fs::write(group.join("cgroup.procs"), child.id().to_string())?;
        let (orders, times) = (child.stdin.take(), child.stdout.take());
        Ok(Floor {
            group,
            child,
            orders: orders.ok_or("no pipe")?,
            times: BufReader::new(times.ok_or("no pipe")?),
        })
    }

    /// So many jobs.
    pub(crate) fn run(&mut self, jobs: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
        writeln!(self.orders, "{jobs}")?;
        let mut one = || {
            let mut line = String::new();
            self.times.read_line(&mut line)?;
            Ok(Duration::from_nanos(line.trim().parse()?))
        };
        (0..jobs).map(|_| one()).collect()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir(&self.group);
    }
}

/// A new control group that counts memory, below the own one; and its file of what was ended for want of it.
fn group() -> Result<(PathBuf, PathBuf), Box<dyn Error>> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let find = |wanted: &dyn Fn(&str) -> bool| {
        let lines = own
            .lines()
            .filter_map(|line| line.split_once(':')?.1.split_once(':'));
        lines
            .into_iter()
            .find(|(controllers, _)| wanted(controllers))
    };
    let version_1 = find(&|all| all.split(',').any(|one| one == "memory"));
    let (root, path, file) = match (version_1, find(&|all| all.is_empty())) {
        (Some((_, path)), _) => ("/sys/fs/cgroup/memory", path, "memory.oom_control"),
        (None, Some((_, path))) => ("/sys/fs/cgroup", path, "memory.events"),
        (None, None) => return Err("no control group counts memory here".into()),
    };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("floor-{}-{number}", std::process::id());
    let group = Path::new(root)
        .join(path.trim_start_matches('/'))
        .join(name);
    fs::create_dir(&group)?;
    let counters = group.join(file);
    Ok((group, counters))
}
