//! A small writer of ELF files, for files that no linker makes.

/// A program or shared object under construction: one segment that holds everything, readable,
/// writable and executable, mapped at 0.
#[derive(Clone, Default)]
pub(crate) struct Elf {
    /// `e_type`: 2 is at fixed addresses, 3 is not.
    pub(crate) kind: u16,
    pub(crate) interpreter: Option<&'static str>,
    pub(crate) needed: Vec<&'static str>,
    pub(crate) soname: Option<&'static str>,
    pub(crate) rpath: Option<&'static str>,
    pub(crate) runpath: Option<&'static str>,
}

const CODE: u64 = 0x1000;

impl Elf {
    /// A shared object that needs `needed`.
    pub(crate) fn library(soname: &'static str, needed: &[&'static str]) -> Elf {
        Elf {
            kind: 3,
            soname: Some(soname),
            needed: needed.to_vec(),
            ..Elf::default()
        }
    }

    /// A program that needs `needed` and is started by glibc's loader.
    pub(crate) fn program(needed: &[&'static str]) -> Elf {
        Elf {
            kind: 3,
            interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
            needed: needed.to_vec(),
            ..Elf::default()
        }
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut strings = vec![0u8];
        let mut dynamic: Vec<(u64, u64)> = Vec::new();
        let mut string = |text: &str| {
            let at = strings.len() as u64;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at
        };
        for name in &self.needed {
            dynamic.push((1, string(name)));
        }
        for (tag, text) in [(14, self.soname), (15, self.rpath), (29, self.runpath)] {
            if let Some(text) = text {
                dynamic.push((tag, string(text)));
            }
        }
        let interpreter = self.interpreter.map(&mut string);
        let count = if interpreter.is_some() { 3 } else { 2 };
        let strings_at = 64 + count * 56;
        let dynamic_at = (strings_at + strings.len() as u64).next_multiple_of(8);
        dynamic.push((5, strings_at));
        dynamic.push((10, strings.len() as u64));
        dynamic.push((0, 0));
        assert!(dynamic_at + dynamic.len() as u64 * 16 <= CODE);
        let mut file = vec![0u8; CODE as usize + 16];
        // `mov eax, 60; syscall; ud2`
        file[CODE as usize..][..9].copy_from_slice(&[0xb8, 60, 0, 0, 0, 0x0f, 0x05, 0x0f, 0x0b]);
        file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        put(&mut file, 16, &self.kind.to_le_bytes());
        put(&mut file, 18, &62u16.to_le_bytes());
        put(&mut file, 20, &1u32.to_le_bytes());
        put(&mut file, 24, &CODE.to_le_bytes());
        put(&mut file, 32, &64u64.to_le_bytes());
        put(&mut file, 52, &64u16.to_le_bytes());
        put(&mut file, 54, &56u16.to_le_bytes());
        put(&mut file, 56, &(count as u16).to_le_bytes());
        let size = file.len() as u64;
        let mut header = |n: usize, kind: u32, offset: u64, size: u64| {
            let at = 64 + n * 56;
            put(&mut file, at, &kind.to_le_bytes());
            put(&mut file, at + 4, &7u32.to_le_bytes());
            for (k, word) in [offset, offset, offset, size, size, 8]
                .into_iter()
                .enumerate()
            {
                put(&mut file, at + 8 + k * 8, &word.to_le_bytes());
            }
        };
        header(0, 1, 0, size);
        header(1, 2, dynamic_at, dynamic.len() as u64 * 16);
        if let (Some(at), Some(text)) = (interpreter, self.interpreter) {
            header(2, 3, strings_at + at, text.len() as u64 + 1);
        }
        put(&mut file, strings_at as usize, &strings);
        for (n, (tag, value)) in dynamic.iter().enumerate() {
            put(&mut file, dynamic_at as usize + n * 16, &tag.to_le_bytes());
            put(
                &mut file,
                dynamic_at as usize + n * 16 + 8,
                &value.to_le_bytes(),
            );
        }
        file
    }
}

/// Adds section headers with a symbol table of these entries and a string table.
pub(crate) fn with_symbols(mut file: Vec<u8>, symbols: &[u8], strings: &[u8]) -> Vec<u8> {
    let symbols_at = file.len() as u64;
    file.extend_from_slice(symbols);
    let strings_at = file.len() as u64;
    file.extend_from_slice(strings);
    let table = file.len() as u64;
    let (symbol_size, string_size) = (symbols.len() as u64, strings.len() as u64);
    // SHT_NULL, SHT_SYMTAB with its string table, SHT_STRTAB.
    let headers = [
        (0u32, 0, 0, 0u32),
        (2, symbols_at, symbol_size, 2),
        (3, strings_at, string_size, 0),
    ];
    for (kind, offset, size, link) in headers {
        let mut header = vec![0u8; 64];
        put(&mut header, 4, &kind.to_le_bytes());
        put(&mut header, 24, &offset.to_le_bytes());
        put(&mut header, 32, &size.to_le_bytes());
        put(&mut header, 40, &link.to_le_bytes());
        file.extend(header);
    }
    put(&mut file, 40, &table.to_le_bytes());
    put(&mut file, 58, &64u16.to_le_bytes());
    put(&mut file, 60, &3u16.to_le_bytes());
    file
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}
