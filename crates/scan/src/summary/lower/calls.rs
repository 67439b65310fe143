//! What is left of registers, frame and memory when a call, a throw or the kernel has come back.

use super::super::state::{State, part};
use super::super::value::{ANY, LEFT, OUTCOME, THROWN, Value};
use super::Lower;
use crate::image::Addr;
use crate::isa::{Binary, Machine as _, RegSet};

impl Lower<'_> {
    /// A call leaves the address that it returns to.
    pub(in super::super) fn link(&mut self, back: u64) {
        let back = self.graph.constant(back);
        if let Some(link) = self.convention().link {
            return self.put(link, back);
        }
        let stack_pointer = self.convention().stack_pointer;
        let top = self.get(stack_pointer);
        let eight = self.graph.constant(8);
        let top = self.graph.binary(Binary::Sub, top, eight);
        self.put(stack_pointer, top);
        self.store(top, 8, back);
    }

    /// The callee, if it is known, has run and returned.
    pub(in super::super) fn after_call(&mut self, callee: Option<u64>) {
        self.disturb();
        if self.go
            && let Some(top) = self
                .state
                .frame_offset(self.graph, self.convention().stack_pointer)
        {
            let shared = self.image.go_shares(Addr(self.entry), callee.map(Addr));
            // Where a call pushes nothing, the first word is where the caller keeps what it returns to.
            let top = top.saturating_add(8 - self.convention().pushed());
            let end = top.saturating_add(i64::from(shared));
            self.state.forget(false, |s| {
                s.offset < end && s.offset + i64::from(s.size) > top
            });
        }
        if !self.trust.frame {
            // It may return a second time, after the frame has changed.
            self.state.forget_frame();
        }
        let convention = self.convention();
        if !self.trust.above.is_none()
            && let Some(top) = self
                .state
                .frame_offset(self.graph, convention.stack_pointer)
        {
            let above = self.trust.above.moved(top - convention.pushed());
            let (from, to) = above.stretch();
            self.state.forget(to > convention.pushed(), |s| {
                s.offset < to && s.offset + i64::from(s.size) > from
            });
        }
        let saved = match self.trust.saved {
            true => RegSet::NONE,
            false => convention.callee_saved,
        };
        for reg in convention.caller_saved.iter().chain(saved.iter()) {
            let before = self.state.register(reg);
            let after = if before == ANY {
                // Keeps its identity for what follows, a compare before a table above all.
                Value::Opaque(self.at, LEFT + reg.0)
            } else {
                Value::Kept(self.at, reg, before)
            };
            let after = self.graph.intern(after);
            self.state.set_register(reg, after);
        }
        self.state.forget_lanes();
        if self.go {
            self.state.zero_lanes(self.graph);
        }
        let result = self.graph.intern(Value::Ret(self.at));
        self.state.set_register(convention.results[0], result);
        self.forget_link();
        self.state.set_flags(ANY);
    }

    /// An exception brought control back to the frame of this call.
    pub(in super::super) fn after_throw(&mut self) {
        self.disturb();
        // The callee has not done all that it does before it returns.
        let version = self.graph.intern(Value::Opaque(self.at, THROWN));
        self.state.set_memory(version);
        if self.go {
            let stack_pointer = self.convention().stack_pointer;
            // Any instruction may panic, not only this call: the frame is as that left it.
            let top = self.state.register(stack_pointer);
            self.state = State::unknown(self.graph, self.convention());
            self.state.set_register(stack_pointer, top);
            self.renew_memory();
            return;
        }
        for reg in self.convention().caller_saved.iter() {
            self.state.set_register(reg, ANY);
        }
        self.forget_link();
        self.state.forget_lanes();
        self.state.set_flags(ANY);
    }

    /// Where a call just returned to is of no use.
    fn forget_link(&mut self) {
        if let Some(link) = self.convention().link {
            self.state.set_register(link, ANY);
        }
    }

    /// The kernel has answered: it keeps all registers but a few, and may have written
    /// whatever its arguments point to.
    pub(in super::super) fn after_syscall(&mut self) {
        self.disturb();
        if !self.trust.frame {
            self.state.forget_frame();
        }
        let convention = self.convention();
        if self
            .state
            .frame_offset(self.graph, convention.stack_pointer)
            .is_some_and(|o| o > 0 && part(o) == 0)
        {
            // The return address was taken off the stack: a call that lets a child use it.
            *self.keeps_return_address = true;
        }
        for (n, &reg) in (OUTCOME..).zip(convention.kernel_writes) {
            let unknown = self.graph.intern(Value::Opaque(self.at, n));
            self.state.set_register(reg, unknown);
        }
        self.state.set_flags(ANY);
    }
}
