//! What several traces tell, as one.

use crate::json::trace::{self as json, Fact, Header};
use crate::neutral;

use super::{Log, When};

impl Log {
    /// The text of a merged trace.
    pub(crate) fn write(&self) -> serde_json::Result<String> {
        let header = Header {
            schema: json::SCHEMA.to_owned(),
            version: json::VERSION,
            merged: true,
            runs: Some(self.all_runs),
            run: None,
        };
        let mut lines = vec![serde_json::to_string(&header)?];
        let mut write = |fact: Fact| -> serde_json::Result<()> {
            lines.push(serde_json::to_string(&fact)?);
            Ok(())
        };
        for run in &self.runs {
            write(Fact::Run(run.clone()))?;
        }
        let mut next = 0;
        let mut counts = Vec::new();
        for (image_id, ((path, identity), image)) in (0..).zip(&self.images) {
            write(Fact::Image(json::Image {
                id: image_id,
                path: path.clone(),
                identity: identity.clone(),
                by: None,
                merged: Some(merged(image.when)),
            }))?;
            for (key, call) in &image.calls {
                let id = next;
                next += 1;
                write(Fact::Call(json::Call {
                    id,
                    image: image_id,
                    at: call.when.first,
                    arch: key.arch.clone(),
                    number: key.number,
                    name: key.known_name().map(str::to_owned),
                    args: key.arguments(),
                    any: key.any,
                    observed: call.observed.iter().cloned().collect(),
                    callers: call.callers.iter().cloned().collect(),
                    merged: Some(merged(call.when)),
                }))?;
                for error in &call.returned {
                    write(Fact::Returned(json::Returned {
                        call: id,
                        error: error.clone(),
                    }))?;
                }
                for (by, answer) in &call.denied {
                    write(Fact::Denied(json::Denied {
                        call: id,
                        answer: answer.clone(),
                        by: *by,
                    }))?;
                }
                counts.push((id, call.count));
            }
        }
        for (code, message, path) in &self.remarks {
            let at = |(image, _): &(&(String, Option<String>), _)| Some(&image.0) == path.as_ref();
            let image = self.images.iter().position(|entry| at(&entry));
            write(Fact::Remark(json::Remark {
                code: code.clone(),
                image: image.map(|at| at as u32),
                message: message.clone(),
            }))?;
        }
        let last = self.images.values().map(|image| image.when.last).max();
        write(Fact::Counts(json::Counts {
            at: last.unwrap_or(0),
            calls: counts,
        }))?;
        let mut text = neutral::json(lines.join("\n"));
        text.push('\n');
        Ok(text)
    }
}

fn merged(when: When) -> json::Merged {
    json::Merged {
        runs: when.runs,
        first: when.first,
        last: when.last,
    }
}
