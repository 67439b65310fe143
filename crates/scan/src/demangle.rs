//! Names as their authors wrote them.

/// Longer names are the file's attempt to be expensive.
const LONGEST: usize = 4096;

/// The source name of a linker symbol; the symbol itself when it is not mangled.
pub fn demangle(symbol: &str) -> String {
    if symbol.len() > LONGEST {
        return symbol.chars().take(LONGEST).collect();
    }
    if let Ok(name) = rustc_demangle::try_demangle(symbol) {
        return format!("{name:#}");
    }
    if symbol.starts_with("_Z")
        && let Ok(name) = cpp_demangle::Symbol::new(symbol)
        && let Ok(text) = name.demangle()
    {
        return text;
    }
    symbol.to_owned()
}

#[cfg(test)]
mod tests {
    use super::demangle;

    #[test]
    fn rust_cpp_and_plain() {
        assert_eq!(
            demangle("_ZN3std2io5Write9write_all17h0123456789abcdefE"),
            "std::io::Write::write_all"
        );
        assert_eq!(demangle("_ZN3foo3barEv"), "foo::bar()");
        assert_eq!(demangle("main"), "main");
    }
}
