//! The program's clocks: how long the machine has been up is not for it to know.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use crate::error::Error;
use crate::layer::LayerName;

/// What the program's clocks show when it begins, in seconds: a day, because programs subtract from them.
const BEGIN: i64 = 86_400;

/// Sets the clocks of the program that `init` will create: of the time since the boot, with and without sleep
/// (time_namespaces(7)). The time of day is the machine's.
pub(crate) fn set(init: i32) -> Result<(), Error> {
    let offset = |clock| BEGIN - clock_gettime(clock).tv_sec;
    let offsets = format!(
        "monotonic {} 0\nboottime {} 0\n",
        offset(ClockId::Monotonic),
        offset(ClockId::Boottime)
    );
    fs::write(format!("/proc/{init}/timens_offsets"), offsets).map_err(|e| Error::Layer {
        layer: LayerName::Namespaces,
        reason: format!("setting the clocks of its time namespace: {e}"),
        help: String::new(),
    })
}
