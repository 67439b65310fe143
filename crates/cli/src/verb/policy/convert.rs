//! `portcullis policy convert` and `show`: a policy read in one form and written in another.

use anyhow::{Context as _, Result, anyhow};
use portcullis_policy::format::{self, Concessions, Format as Form};
use portcullis_policy::{Filter, Source};

use crate::args::{ConvertArgs, ShowArgs};
use crate::exit::Exit;
use crate::filter_file::{Content, FilterFile};
use crate::output::Output;
use crate::verb::compile::{c, rust};

/// Writes a policy in another form.
pub(crate) fn convert(typed: ConvertArgs) -> Result<Exit> {
    let output = Output::from_option(typed.output);
    let file = FilterFile::open(&typed.policy, &typed.input)?;
    let bytes = match typed.to {
        Form::Bpf => file.program(&typed.input)?.to_bytes(),
        Form::C => c(&file.program(&typed.input)?).into_bytes(),
        Form::Rust => rust(&file.program(&typed.input)?).into_bytes(),
        form => {
            let mut source = source(&file, &typed.input)?;
            if form == Form::Native {
                source.filters.iter_mut().for_each(format::without_repeated);
            }
            let conceded = Concessions {
                foreign: typed.concede_foreign,
                newer: typed.concede_newer,
            };
            let written = format::write(form, &source, conceded);
            let written = written.map_err(|why| anyhow!("{}: {form}: {why}", file.name()))?;
            written.into_bytes()
        }
    };
    output.write_bytes(&bytes)?;
    Ok(Exit::Success)
}

/// Shows a policy in the native form: what it means, whatever form it has.
pub(crate) fn show(typed: ShowArgs) -> Result<Exit> {
    let output = Output::from_option(typed.output);
    let file = FilterFile::open(&typed.policy, &typed.input)?;
    let mut source = source(&file, &typed.input)?;
    source.filters.iter_mut().for_each(format::without_repeated);
    let written = format::write(Form::Native, &source, Concessions::default());
    output.write_text(&written.with_context(|| file.name())?)?;
    Ok(Exit::Success)
}

/// The filters that are asked for: one by its name, else all.
pub(super) fn source(file: &FilterFile, input: &crate::args::InputArgs) -> Result<Source> {
    let filters = match &file.content {
        Content::Policies { source, .. } if input.filter.is_none() => source.filters.clone(),
        Content::Policies { source, .. } => vec![file.filter(source, input)?.clone()],
        _ => vec![Filter {
            name: None,
            policy: file.policy(input)?,
            places: Vec::new(),
        }],
    };
    Ok(Source {
        filters,
        remarks: Vec::new(),
    })
}
