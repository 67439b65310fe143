//! What was aimed at, and what came of it.

/// At least so much, or at most.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    Least(f64),
    Most(f64),
}

/// One aim: what is measured, how much of it there is to be, and what the best and the middle came to.
pub(crate) struct Bar {
    pub(crate) what: &'static str,
    pub(crate) aim: Aim,
    pub(crate) best: f64,
    pub(crate) median: f64,
}

/// Prints them; met is what the middle meets.
pub(crate) fn print(bars: &[Bar]) {
    println!("| bar | aim | best | median | met |");
    println!("|---|---|---|---|---|");
    for Bar {
        what,
        aim,
        best,
        median,
    } in bars
    {
        let (aim, met) = match *aim {
            Aim::Least(least) => (format!("at least {least}"), *median >= least),
            Aim::Most(most) => (format!("at most {most}"), *median <= most),
        };
        let met = if met { "yes" } else { "no" };
        println!("| {what} | {aim} | {best:.2} | {median:.2} | {met} |");
    }
    println!();
}
