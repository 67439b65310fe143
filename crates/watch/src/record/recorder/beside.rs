//! A recorder beside the tracer of a confined program, which answers every stop: this one looks at it before.

use portcullis_sys::Error;
use portcullis_sys::wait::{End, Stop, Usage, event};

use super::Recorder;
use crate::record::backend::Backend;
use crate::record::task::Task;
use crate::record::{Ending, Recording};

/// What it is told of the program that `root` runs, and all that this starts.
pub(crate) struct Beside<'a>(Recorder<'a>);

impl<'a> Beside<'a> {
    /// `root` stands at its exec stop.
    pub(crate) fn begin(
        root: i32,
        recording: Recording<'a>,
        backend: &'a mut dyn Backend,
    ) -> Beside<'a> {
        let mut recorder = Recorder::new(root, backend, recording.sink);
        recorder.name = Some(recording.name);
        recorder.standing = Some(recording.policy);
        recorder.begin();
        Beside(recorder)
    }

    /// A task stands at `stop`, and is not resumed here.
    pub(crate) fn stopped(&mut self, tid: i32, stop: Stop) -> Result<(), Error> {
        let Beside(recorder) = self;
        if !recorder.tasks.contains_key(&tid) && !matches!(stop, Stop::Event(event::EXEC, _)) {
            // It stopped before the stop of its creator told of it.
            let image = recorder.image(tid, None);
            let task = Task::stray(image, recorder.handled);
            recorder.tasks.insert(tid, task);
            recorder.tasks_seen += 1;
        }
        match stop {
            Stop::Event(event::FORK | event::VFORK | event::CLONE, _) => {
                recorder.created(tid, stop).map(drop)
            }
            Stop::Event(event::EXEC, _) => recorder.executed(tid, super::former(tid)?),
            Stop::Syscall => recorder.at_call(tid),
            Stop::Event(..) | Stop::Signal(_) => Ok(()),
        }
    }

    /// A task has ended.
    pub(crate) fn ended(&mut self, tid: i32, end: End, usage: Usage) -> Result<(), Error> {
        self.0.task_ended(tid, end, usage)
    }

    /// All have ended.
    pub(crate) fn ending(self) -> Result<Ending, Error> {
        self.0.ending()
    }
}
