//! The launch cookie and the filter that knows it: wiped when dropped, never printed.

use std::io;

use portcullis_sys::seccomp::{MAX_INSTRUCTIONS, SockFilter};
use zeroize::Zeroize;

use crate::Error;

/// A random word that allows one exec. Neither `Debug` nor `Display`, on purpose.
///
/// Boxed, so that moving it leaves no copy behind.
pub struct Cookie(Box<u64>);

impl Cookie {
    /// A new one from the kernel's generator. 0 is never given: it is what a call with five
    /// arguments happens to leave in the sixth register.
    pub fn random() -> Result<Cookie, Error> {
        let mut bytes = [0_u8; 8];
        loop {
            let mut filled = 0;
            while filled < bytes.len() {
                filled += rustix::rand::getrandom(
                    &mut bytes[filled..],
                    rustix::rand::GetRandomFlags::empty(),
                )
                .map_err(|e| Error::Read {
                    path: "the kernel's random numbers".into(),
                    reason: io::Error::from(e),
                })?;
            }
            let value = u64::from_ne_bytes(bytes);
            bytes.zeroize();
            if value != 0 {
                return Ok(Cookie(Box::new(value)));
            }
        }
    }

    /// One with a chosen value, for tests and for a filter that was filled elsewhere.
    pub fn from_value(value: u64) -> Cookie {
        Cookie(Box::new(value))
    }

    /// The value, to fill a filter in with and for nothing else.
    pub fn value(&self) -> u64 {
        *self.0
    }
}

impl Drop for Cookie {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A proved filter with this start's cookie filled in.
pub struct ArmedFilter {
    instructions: Vec<SockFilter>,
    cookie: Cookie,
    around_ports: Option<&'static str>,
}

impl ArmedFilter {
    /// Takes the filter over: the caller must keep no copy of the filled one.
    pub fn new(instructions: Vec<SockFilter>, cookie: Cookie) -> Result<ArmedFilter, Error> {
        let armed = ArmedFilter {
            instructions,
            cookie,
            around_ports: Some("what it answers was not proved"),
        };
        if armed.instructions.is_empty() || armed.instructions.len() > MAX_INSTRUCTIONS {
            return Err(Error::Invalid(format!(
                "a filter of {} instructions cannot be loaded; the kernel takes 1 to {MAX_INSTRUCTIONS}",
                armed.instructions.len()
            )));
        }
        Ok(armed)
    }

    /// The same of a policy that was proved to be what it says, and leaves this way around rules about ports open.
    pub(crate) fn leaving(self, around_ports: Option<&'static str>) -> ArmedFilter {
        let mut filter = self;
        filter.around_ports = around_ports;
        filter
    }

    pub(crate) fn around_ports(&self) -> Option<&'static str> {
        self.around_ports
    }

    /// How many instructions it has.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether it has none; never true of one that was made.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    pub(crate) fn instructions(&self) -> &[SockFilter] {
        &self.instructions
    }

    pub(crate) fn cookie(&self) -> u64 {
        self.cookie.value()
    }
}

impl Drop for ArmedFilter {
    fn drop(&mut self) {
        for instruction in &mut self.instructions {
            instruction.k.zeroize();
        }
    }
}
