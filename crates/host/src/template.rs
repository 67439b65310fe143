//! What every worker of one image is started from: its program sealed and hashed once, its filters proved once.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use portcullis_abi::Arch;
use portcullis_policy::Policy;
use portcullis_sandbox::{
    Answer, ArmedFilter, Confinement, Features, Filter, Followed, Layer, LayerName, Limits,
    Missing, Mode, Plan, Program, Root, Spec, Unlisted,
};
use portcullis_sys::wait::{self, Change, End, Usage};
use portcullis_sys::{process, ptrace};

use crate::error::Error;
use crate::filter;
use crate::image::Image;
use crate::pool::Enforced;
use crate::proof;
use crate::running::PATIENCE;

/// An image, ready to be started any number of times.
pub(crate) struct Template {
    name: &'static str,
    /// Memory that nobody can change: one start cannot spoil it for the next.
    program: File,
    filter: Filter,
    allowed: usize,
    policy: Policy,
    bounds: Limits,
    /// It forks jobs, each into a group of its own where there is one.
    forks: bool,
    without: Vec<LayerName>,
    audit: Result<Layer, Missing>,
    /// Nothing of a program that starts no jobs.
    proof: Option<Result<Layer, Missing>>,
    /// All that a plan is made of, in words.
    made_of: String,
}

/// What the program inherits.
pub(crate) struct Inherited {
    /// Its end of the talk.
    _control: UnixStream,
    /// What stands for its standard streams.
    _null: OwnedFd,
    /// What the directory of its jobs' group takes the place of.
    _group: Option<OwnedFd>,
}

/// One start of a template.
pub(crate) struct Start {
    pub(crate) plan: Plan,
    /// The host's end of the talk.
    pub(crate) control: UnixStream,
    /// What the program inherits: open here until it has it, so that its end is seen.
    pub(crate) theirs: Inherited,
}

impl Template {
    /// Of `image`, whose programs `bounds` bounds; `without` names layers that are left out, with that of limits also these.
    pub(crate) fn new(
        image: &Image,
        bounds: Limits,
        without: &[LayerName],
    ) -> Result<Template, Error> {
        let (filter, allowed, policy) = filter::of_worker(image.policy)?;
        let bounds = match without.contains(&LayerName::Limits) {
            true => Limits::default(),
            false => bounds,
        };
        Ok(Template {
            name: image.name,
            program: image.seal()?,
            filter,
            allowed,
            policy,
            bounds,
            forks: false,
            without: without.to_vec(),
            audit: image.audit(),
            proof: None,
            made_of: format!("{:?}", (image.program(), image.policy, bounds, without)),
        })
    }

    /// The same of a program that forks jobs. A policy without clone3(2) would end one that asks for a group.
    pub(crate) fn forking(mut self) -> Template {
        let clone3 = Arch::NATIVE.number("clone3");
        let arch = Arch::NATIVE.audit_arch();
        let answer = clone3.map(|clone3| Answer::of(&self.policy, arch, clone3.0, [0; 6]));
        self.forks = answer.is_some_and(|answer| answer != Answer::Kills);
        self
    }

    /// The same where the break-out test held, or was left out by name.
    pub(crate) fn proved(mut self, left_out: bool) -> Result<Template, Error> {
        self.proof = Some(match left_out {
            true => Err(proof::left_out()),
            false => Ok(proof::prove(&self)?),
        });
        Ok(self)
    }

    /// Loads the filter of another policy than it says.
    #[cfg(test)]
    pub(crate) fn spoil(&mut self, policy: &str) {
        (self.filter, ..) = filter::of_worker(policy).unwrap();
        self.made_of += policy;
    }

    /// What tells its plans from those of others.
    pub(crate) fn made_of(&self) -> String {
        self.made_of.clone()
    }

    /// What holds of a program that `plan` starts, and of its jobs.
    pub(crate) fn enforced(&self, plan: &Plan) -> Enforced {
        let (mut layers, mut missing) = (plan.enforced(), plan.not_enforced());
        // What bounds the worker alone is not all: each job has bounds of its own.
        let bounds = |layer: &Missing| layer.layer == LayerName::Limits.name();
        missing.retain(|layer| !(self.bounds.memory.is_some() && bounds(layer)));
        for known in [Some(&self.audit), self.proof.as_ref()]
            .into_iter()
            .flatten()
        {
            match known {
                Ok(passed) => layers.push(passed.clone()),
                Err(lacks) => missing.push(lacks.clone()),
            }
        }
        Enforced { layers, missing }
    }

    /// What traces call its program, and the policy that this is under.
    pub(crate) fn program(&self) -> (&'static str, &Policy) {
        (self.name, &self.policy)
    }

    /// Its filter, with the secret of one start.
    pub(crate) fn filter(&self) -> Result<ArmedFilter, portcullis_sandbox::Error> {
        self.filter.arm()
    }

    /// An empty root, no network, and only the host to talk to.
    pub(crate) fn start(&self) -> Result<Start, Error> {
        let (control, theirs) = UnixStream::pair()?;
        control.set_read_timeout(Some(PATIENCE))?;
        control.set_write_timeout(Some(PATIENCE))?;
        let path = "/dev/null";
        let null = File::options().read(true).write(true).open(path);
        let null = OwnedFd::from(null.map_err(|reason| Error::File {
            path: path.into(),
            reason,
        })?);
        let group = self.forks.then(|| null.try_clone()).transpose()?;
        let mut keep = vec![theirs.as_raw_fd(), null.as_raw_fd()];
        keep.extend(group.as_ref().map(OwnedFd::as_raw_fd));
        let mut arguments = vec![self.name.into()];
        arguments.extend(keep.iter().map(|fd| fd.to_string().into()));
        keep.sort_unstable();
        let mut confinement = Confinement::new("/".into());
        confinement.empty = true;
        confinement.session = true;
        confinement.forks = group.as_ref().map(OwnedFd::as_raw_fd);
        confinement.without.extend(self.without.iter().copied());
        confinement.limits = self.bounds;
        let spec = Spec {
            program: Program::from_file(self.program.try_clone()?, Path::new(self.name))?,
            arguments,
            environment: Vec::new(),
            mode: Mode::Enforce,
            traced: false,
            allowed: self.allowed,
            mapped: Vec::new(),
            unlisted: Unlisted::Refuse,
            standard: [const { None }; 3],
            keep,
            confinement,
        };
        Ok(Start {
            plan: Plan::new(spec, &Features::probe())?,
            control,
            theirs: Inherited {
                _control: theirs,
                _null: null,
                _group: group,
            },
        })
    }
}

/// Lets the program go that stands at its exec stop; a handle to the first process of its namespaces. That its
/// executable is the sealed one was compared at the stop, and it is static: nothing else can be mapped.
pub(crate) fn released(root: &Root<'_>) -> Result<OwnedFd, portcullis_sys::Error> {
    ptrace::detach(root.pid, 0)?;
    process::handle(root.init.unwrap_or(root.pid))
}

/// Ends what is left of a program, and reaps it.
pub(crate) fn ended<R>(root: &Root<'_>, report: R) -> Result<Followed<R>, portcullis_sys::Error> {
    let first = root.init.unwrap_or(root.pid);
    process::kill_unreaped(first)?;
    let (end, usage) = loop {
        match wait::next_of(first)? {
            Some((_, Change::Ended(end, usage))) => break (end, usage),
            Some((_, Change::Stopped(_))) => {}
            None => break (End::Signaled(libc::SIGKILL), Usage::default()),
        }
    };
    Ok(Followed {
        end,
        denied: false,
        own_filter: false,
        refused: None,
        usage,
        report,
    })
}
