//! Interim image.
#![allow(missing_docs, reason = "interim")]
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym, Rela, Dyn};
use object::{elf, LittleEndian};
use gimli::{BaseAddresses, EhFrame, UnwindSection, CieOrFde};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId(pub u32);
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Addr(pub u64);
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot { Address(Addr), Resolver(Addr), Value(u64) }
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region { pub range: Range<u64>, pub executable: bool, pub writable: bool, pub linkage: bool }
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role { Program, Loader, Library, Plugin }
pub struct Root { pub at: Addr }

#[derive(Clone, Debug)]
struct Symbol { name: String, value: u64, size: u64, kind: u8, bind: u8, defined: bool }

pub struct Object {
    pub path: PathBuf, pub role: Role, pub base: u64, data: Vec<u8>,
    segs: Vec<(u64, u64, u64, u64, u32)>, // vaddr, memsz, offset, filesz, flags
    pub regions: Vec<Region>,
    slots: Vec<(u64, Slot)>,
    dynsyms: Vec<Symbol>, syms: Vec<Symbol>,
    funcs: Vec<(u64, u64, String)>, objs: Vec<(u64, u64)>,
    starts: Vec<u64>,
    exports: HashMap<String, (u64, bool)>,
    needed: Vec<String>, interp: Option<String>, entry: u64,
    relas: Vec<(u64, u32, u32, i64)>, relr: Vec<u64>,
    init: Vec<u64>, arrays: Vec<(u64, u64)>,
    pads: BTreeMap<u64, (u64, Option<u64>)>, // fde start -> (end, lsda)
    et_exec: bool, has_symtab: bool,
}

pub struct Image { pub objects: Vec<Object>, pub warnings: Vec<portcullis_abi::Warning> }

fn parse(path: &Path, role: Role, base_if_dyn: u64) -> Result<Object, String> {
    let data = std::fs::read(path).map_err(|e| e.to_string())?;
    let h = elf::FileHeader64::<LittleEndian>::parse(&*data).map_err(|e| e.to_string())?;
    let en = LittleEndian;
    if h.e_machine(en) != elf::EM_X86_64 { return Err("wrong arch".into()); }
    let et_exec = h.e_type(en) == elf::ET_EXEC;
    let base = if et_exec { 0 } else { base_if_dyn };
    let mut segs = vec![]; let mut relro = 0..0; let mut dynamic = None; let mut interp = None;
    for p in h.program_headers(en, &*data).map_err(|e| e.to_string())? {
        match p.p_type(en) {
            elf::PT_LOAD => segs.push((p.p_vaddr(en), p.p_memsz(en), p.p_offset(en), p.p_filesz(en), p.p_flags(en).0)),
            elf::PT_GNU_RELRO => relro = p.p_vaddr(en)..p.p_vaddr(en) + p.p_memsz(en),
            elf::PT_DYNAMIC => dynamic = p.dynamic(en, &*data).ok().flatten(),
            elf::PT_INTERP => interp = p.interpreter(en, &*data).ok().flatten().map(|b| String::from_utf8_lossy(b).into_owned()),
            _ => {}
        }
    }
    let sections = h.sections(en, &*data).map_err(|e| e.to_string())?;
    let mut regions = vec![]; let mut eh = None; let mut has_symtab = false; let mut text = 0; 
    for s in sections.iter() {
        let fl = s.sh_flags(en).0;
        if fl & 2 == 0 || s.sh_size(en) == 0 { continue; }
        if fl & 0x400 != 0 && s.sh_type(en) == elf::SHT_NOBITS { continue; }
        let name = sections.section_name(en, s).unwrap_or(b"");
        let a = s.sh_addr(en); let r = a..a + s.sh_size(en);
        let w = fl & 1 != 0 && !(r.start >= relro.start && r.end <= relro.end);
        regions.push(Region { range: base + r.start..base + r.end, executable: fl & 4 != 0, writable: w, linkage: name.starts_with(b".got") });
        if name == b".eh_frame" { eh = s.data(en, &*data).ok().map(|d| (d, a)); }
        if name == b".text" { text = a; }
    }
    regions.sort_by_key(|r| r.range.start);
    let read_syms = |ty| -> Vec<Symbol> {
        let Ok(t) = sections.symbols(en, &*data, ty) else { return vec![] };
        t.iter().map(|s| Symbol { name: String::from_utf8_lossy(s.name(en, t.strings()).unwrap_or(b"")).into_owned(), value: s.st_value(en), size: s.st_size(en), kind: s.st_type().0, bind: s.st_bind().0, defined: s.st_shndx(en).0 != 0 }).collect()
    };
    let dynsyms = read_syms(elf::SHT_DYNSYM); let syms = read_syms(elf::SHT_SYMTAB);
    if !syms.is_empty() { has_symtab = true; }
    let mut o = Object { path: path.to_owned(), role, base, segs, regions, slots: vec![], funcs: vec![], objs: vec![], starts: vec![], exports: HashMap::new(), needed: vec![], interp, entry: h.e_entry(en), relas: vec![], relr: vec![], init: vec![], arrays: vec![], pads: BTreeMap::new(), et_exec, dynsyms, syms, data: vec![], has_symtab };
    let mut starts = vec![];
    for s in o.syms.iter().chain(&o.dynsyms) {
        if !s.defined { continue; }
        if s.kind == 2 || s.kind == 10 {
            if !s.name.contains(".cold") && !s.name.contains(".part.cold") { starts.push(base + s.value); }
            o.funcs.push((base + s.value, base + s.value + s.size, s.name.clone()));
        } else if s.kind == 1 && s.size > 0 { o.objs.push((base + s.value, base + s.value + s.size)); }
    }
    for s in &o.dynsyms { if s.defined && s.bind != 0 && s.kind != 6 { o.exports.entry(s.name.clone()).or_insert((base + s.value, s.kind == 10)); } }
    o.funcs.sort(); o.objs.sort();
    if let Some((d, a)) = eh {
        let frame = EhFrame::new(d, gimli::LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(a).set_text(text);
        let mut it = frame.entries(&bases);
        let mut ctx = gimli::UnwindContext::new();
        while let Ok(Some(e)) = it.next() {
            if let CieOrFde::Fde(p) = e && let Ok(f) = p.parse(|_, b, o| frame.cie_from_offset(b, o)) {
                let lsda = match f.lsda() { Some(gimli::Pointer::Direct(x)) => Some(x), _ => None };
                o.pads.insert(f.initial_address(), (f.initial_address() + f.len(), lsda));
                let live = match f.unwind_info_for_address(&frame, &bases, &mut ctx, f.initial_address()) {
                    Ok(row) => !matches!(row.cfa(), gimli::CfaRule::RegisterAndOffset { register, offset } if register.0 == 7 && *offset == 8),
                    Err(_) => false };
                if !live { starts.push(base + f.initial_address()); }
            }
        }
    }
    if let Some((dy, _)) = dynamic.map(|d| (d, ())) {
        let mut g: HashMap<u64, u64> = HashMap::new(); let mut needs = vec![];
        for d in dy { let (t, v) = (d.d_tag(en).0 as u64, d.d_val(en)); if t == 0 { break; } if t == 1 { needs.push(v); } else { g.insert(t, v); } }
        let off = |va: u64| o.segs.iter().find(|s| va >= s.0 && va < s.0 + s.3).map(|s| (va - s.0 + s.2) as usize);
        if let Some(st) = g.get(&5).and_then(|v| off(*v)) { for n in needs { let b = &data[st + n as usize..]; let e = b.iter().position(|c| *c == 0).unwrap_or(0); o.needed.push(String::from_utf8_lossy(&b[..e]).into_owned()); } }
        let w = |p: usize| u64::from_le_bytes(data[p..p + 8].try_into().unwrap());
        for (t, s) in [(7, 8), (23, 2)] { if let (Some(a), Some(n)) = (g.get(&t).and_then(|v| off(*v)), g.get(&s)) { for k in 0..(*n / 24) as usize { let p = a + k * 24; o.relas.push((w(p), (w(p + 8) >> 32) as u32, w(p + 8) as u32, w(p + 16) as i64)); } } }
        if let (Some(a), Some(n)) = (g.get(&36).and_then(|v| off(*v)), g.get(&35)) {
            let mut cur = 0u64; for k in 0..(*n / 8) as usize { let e = w(a + k * 8); if e & 1 == 0 { o.relr.push(e); cur = e + 8; } else { for b in 0..63 { if e >> (b + 1) & 1 == 1 { o.relr.push(cur + b * 8); } } cur += 63 * 8; } }
        }
        for t in [12u64, 13] { if let Some(v) = g.get(&t) && *v != 0 { o.init.push(base + v); } }
        for (t, s) in [(25u64, 27u64), (26, 28), (32, 33)] { if let (Some(v), Some(n)) = (g.get(&t), g.get(&s)) { o.arrays.push((base + v, *n)); } }
    }
    if o.relas.is_empty() && et_exec { // static: irelative in section
        for s in sections.iter() { if s.sh_type(en) == elf::SHT_RELA && let Ok(Some((r, _))) = s.rela(en, &*data) { for x in r { o.relas.push((x.r_offset(en), x.r_sym(en, false), x.r_type(en, false).0, x.r_addend(en))); } } }
    }
    if o.arrays.is_empty() { for s in sections.iter() { if matches!(s.sh_type(en), elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY | elf::SHT_PREINIT_ARRAY) { o.arrays.push((base + s.sh_addr(en), s.sh_size(en))); } } }
    // E8 scan in code without FDE
    for r in o.regions.iter().filter(|r| r.executable) {
        let lo = r.range.start - base; let hi = r.range.end - base;
        let Some(off) = o.segs.iter().find(|s| lo >= s.0 && lo < s.0 + s.3).map(|s| (lo - s.0 + s.2) as usize) else { continue };
        let code = &data[off..off + (hi - lo) as usize];
        for i in 0..code.len().saturating_sub(5) { if code[i] == 0xe8 {
            let t = (lo + i as u64 + 5).wrapping_add(i32::from_le_bytes(code[i + 1..i + 5].try_into().unwrap()) as i64 as u64);
            if t >= lo && t < hi { let covered = o.pads.range(..=t).next_back().is_some_and(|(_, (e, _))| t < *e); if !covered { starts.push(base + t); } } } }
    }
    starts.sort(); starts.dedup(); o.starts = starts; o.data = data;
    Ok(o)
}

impl Object {
    fn off(&self, va: u64) -> Option<usize> { self.segs.iter().find(|s| va >= s.0 && va < s.0 + s.3).map(|s| (va - s.0 + s.2) as usize) }
}

pub fn load(path: &Path, plugins: &[PathBuf]) -> Result<Image, String> {
    let mut objects = vec![parse(path, Role::Program, 0x7000_0000_0000)?];
    let mut names = vec![objects[0].needed.clone()];
    if let Some(i) = objects[0].interp.clone() { objects.push(parse(Path::new(&i), Role::Loader, 0x7001_0000_0000)?); names.push(vec![]); }
    for p in plugins { let b = 0x7000_0000_0000 + ((objects.len() as u64) << 32); let o = parse(p, Role::Plugin, b)?; names.push(o.needed.clone()); objects.push(o); }
    let mut seen: Vec<String> = vec!["ld-linux-x86-64.so.2".into()];
    let mut i = 0;
    while i < names.len() { for n in names[i].clone() { if seen.contains(&n) { continue; } seen.push(n.clone());
        for d in ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib", path.parent().unwrap().to_str().unwrap()] { let p = Path::new(d).join(&n); if p.exists() { let b = 0x7000_0000_0000 + ((objects.len() as u64) << 32); let o = parse(&p, Role::Library, b)?; names.push(o.needed.clone()); objects.push(o); break; } } } i += 1; }
    let find = |objects: &[Object], name: &str, skip: Option<usize>| -> Option<(u64, bool)> { objects.iter().enumerate().filter(|(k, _)| Some(*k) != skip).find_map(|(_, o)| o.exports.get(name).copied()) };
    for k in 0..objects.len() {
        let o = &objects[k]; let base = o.base; let mut slots = vec![];
        for &a in &o.relr { let v = o.off(a).map_or(0, |p| u64::from_le_bytes(o.data[p..p + 8].try_into().unwrap())); slots.push((base + a, Slot::Address(Addr(base + v)))); }
        for &(at, sym, ty, add) in &o.relas {
            let res = |skip| { let s = o.dynsyms.get(sym as usize)?; if s.bind == 0 { return Some((base + s.value, false)); } find(&objects, &s.name, skip) };
            let mk = |r: Option<(u64, bool)>, add: i64| match r { Some((a, true)) => Slot::Resolver(Addr(a)), Some((a, false)) => Slot::Address(Addr(a.wrapping_add(add as u64))), None => Slot::Value(0) };
            match ty {
                8 => slots.push((base + at, Slot::Address(Addr(base.wrapping_add(add as u64))))),
                6 | 7 => slots.push((base + at, mk(res(None), 0))),
                1 => slots.push((base + at, mk(res(None), add))),
                37 => slots.push((base + at, Slot::Resolver(Addr(base + add as u64)))),
                5 => { if let (Some(s), Some((src, _))) = (o.dynsyms.get(sym as usize), res(Some(k))) { if let Some(d) = objects.iter().find(|x| x.regions.iter().any(|r| r.range.contains(&src))) { for &(a2, s2, t2, ad2) in &d.relas { if a2 + d.base >= src && a2 + d.base < src + s.size && t2 == 8 { slots.push((base + at + (a2 + d.base - src), Slot::Address(Addr(d.base.wrapping_add(ad2 as u64))))); let _ = s2; } } } } }
                _ => slots.push((base + at, Slot::Value(1))),
            }
        }
        if o.et_exec { for r in o.regions.iter().filter(|r| !r.executable) { let mut a = (r.range.start + 7) & !7; while a + 8 <= r.range.end { if let Some(p) = o.off(a) && let Some(b) = o.data.get(p..p + 8) { let v = u64::from_le_bytes(b.try_into().unwrap()); if v > 0x1000 && o.regions.iter().any(|r| r.range.contains(&v)) { slots.push((a, Slot::Address(Addr(v)))); } } a += 8; } } }
        slots.sort_by_key(|s| s.0); slots.dedup_by_key(|s| s.0);
        objects[k].slots = slots;
    }
    Ok(Image { objects, warnings: vec![] })
}

impl Image {
    fn obj(&self, a: u64) -> Option<&Object> { self.object_of(Addr(a)).map(|i| &self.objects[i.0 as usize]) }
    pub fn object_of(&self, a: Addr) -> Option<ObjectId> {
        let i = if a.0 < 0x7000_0000_0000 { 0 } else { ((a.0 - 0x7000_0000_0000) >> 32) as usize };
        let o = self.objects.get(i)?; let va = a.0.checked_sub(o.base)?;
        o.segs.iter().any(|s| va >= s.0 && va < s.0 + s.1).then_some(ObjectId(i as u32))
    }
    pub fn region(&self, a: Addr) -> Option<&Region> { let o = self.obj(a.0)?; let n = o.regions.partition_point(|r| r.range.start <= a.0); let r = o.regions.get(n.checked_sub(1)?)?; r.range.contains(&a.0).then_some(r) }
    pub fn is_code(&self, a: Addr) -> bool { self.region(a).is_some_and(|r| r.executable) }
    pub fn code(&self, a: Addr) -> Option<&[u8]> { let r = self.region(a)?; if !r.executable { return None; } let o = self.obj(a.0)?; let p = o.off(a.0 - o.base)?; o.data.get(p..p + (r.range.end - a.0) as usize) }
    pub fn bytes(&self, a: Addr, len: usize) -> Option<&[u8]> { let o = self.obj(a.0)?; let p = o.off(a.0 - o.base)?; o.data.get(p..p + len) }
    pub fn slot(&self, a: Addr) -> Option<Slot> { let o = self.obj(a.0)?; o.slots.binary_search_by_key(&a.0, |s| s.0).ok().map(|i| o.slots[i].1) }
    pub fn slots(&self, r: Range<u64>) -> impl Iterator<Item = (Addr, Slot)> + '_ { let o = self.obj(r.start); o.into_iter().flat_map(move |o| { let n = o.slots.partition_point(|s| s.0 < r.start.saturating_sub(7)); let e = r.end; o.slots[n..].iter().take_while(move |s| s.0 < e).map(|s| (Addr(s.0), s.1)) }) }
    pub fn constant(&self, a: Addr, size: u8) -> Option<u64> {
        let r = self.region(a)?; if r.writable || r.linkage { return None; } let o = self.obj(a.0)?;
        let n = o.slots.partition_point(|s| s.0 + 8 <= a.0); if !o.et_exec && o.slots.get(n).is_some_and(|s| s.0 < a.0 + u64::from(size)) { return None; }
        let b = self.bytes(a, size as usize)?; let mut x = [0; 8]; x[..b.len()].copy_from_slice(b); Some(u64::from_le_bytes(x))
    }
    pub fn function_start(&self, a: Addr) -> bool { self.obj(a.0).is_some_and(|o| o.starts.binary_search(&a.0).is_ok()) }
    pub fn function_name(&self, a: Addr) -> Option<(&str, Addr)> { let o = self.obj(a.0)?; let n = o.funcs.partition_point(|f| f.0 <= a.0); o.funcs[..n].iter().rev().take(4).find(|f| a.0 < f.1.max(f.0 + 1)).map(|f| (f.2.as_str(), Addr(f.0))) }
    pub fn data_extent(&self, a: Addr) -> Option<Range<u64>> { let o = self.obj(a.0)?; let n = o.objs.partition_point(|f| f.0 <= a.0); o.objs[..n].iter().rev().take(4).find(|f| a.0 < f.1).map(|f| f.0..f.1) }
    pub fn next_data_symbol(&self, a: Addr) -> Option<Addr> { let o = self.obj(a.0)?; let n = o.objs.partition_point(|f| f.0 <= a.0); o.objs.get(n).map(|f| Addr(f.0)) }
    pub fn landing_pad(&self, call: Addr, _after: Addr) -> Option<Addr> {
        let o = self.obj(call.0)?; let va = call.0 - o.base; let (start, (end, lsda)) = o.pads.range(..=va).next_back()?; if va >= *end { return None; }
        let p = o.off((*lsda)?)?; let d = &o.data; let mut p = p;
        let uleb = |p: &mut usize| { let mut r = 0u64; let mut s = 0; loop { let b = d[*p]; *p += 1; r |= u64::from(b & 0x7f) << s; s += 7; if b & 0x80 == 0 { return r; } } };
        let lpenc = d[p]; p += 1; if lpenc != 0xff { return None; }
        let tt = d[p]; p += 1; if tt != 0xff { uleb(&mut p); }
        let _cs = d[p]; p += 1; let len = uleb(&mut p) as usize; let e = p + len;
        while p < e { let (s, l, pad, _) = if _cs == 1 { (uleb(&mut p), uleb(&mut p), uleb(&mut p), uleb(&mut p)) } else { let g = |p: &mut usize| { let v = u32::from_le_bytes(d[*p..*p + 4].try_into().unwrap()); *p += 4; u64::from(v) }; let a = g(&mut p); let b = g(&mut p); let c = g(&mut p); (a, b, c, uleb(&mut p)) };
            if va >= start + s && va < start + s + l { return (pad != 0).then(|| Addr(o.base + start + pad)); } }
        None
    }
    pub fn roots(&self) -> Vec<Root> { let mut v = vec![]; for o in &self.objects { if matches!(o.role, Role::Program | Role::Loader) { v.push(Root { at: Addr(o.base + o.entry) }); } for i in &o.init { v.push(Root { at: Addr(*i) }); } for (a, n) in &o.arrays { for (_, s) in self.slots(*a..a + n) { if let Slot::Address(x) = s { v.push(Root { at: x }); } } } for (_, s) in &o.slots { if let Slot::Resolver(x) = s { v.push(Root { at: *x }); } } if o.role == Role::Plugin { for (a, f) in o.exports.values() { let _ = f; if self.is_code(Addr(*a)) { v.push(Root { at: Addr(*a) }); } } } } v.sort_by_key(|r| r.at); v.dedup_by_key(|r| r.at); v }
    pub fn file_address(&self, a: Addr) -> (ObjectId, u64) { match self.object_of(a) { Some(i) => (i, a.0 - self.objects[i.0 as usize].base), None => (ObjectId(0), a.0) } }
    pub fn binary(&self) -> portcullis_abi::Binary { portcullis_abi::Binary { path: self.objects[0].path.display().to_string(), script: None, arch: portcullis_abi::Arch::X86_64, linkage: if self.objects[0].interp.is_some() { portcullis_abi::Linkage::Dynamic } else { portcullis_abi::Linkage::Static }, stripped: !self.objects[0].has_symtab, languages: vec![] } }
    pub fn scanned_objects(&self) -> Vec<portcullis_abi::ScannedObject> { self.objects.iter().map(|o| portcullis_abi::ScannedObject { path: o.path.display().to_string(), soname: None, sha256: [0; 32] }).collect() }
}
impl Image { pub fn starts(&self, o: usize) -> Vec<u64> { self.objects[o].starts.iter().copied().filter(|a| self.is_code(Addr(*a))).collect() } }
impl Image { pub fn fde_range(&self, a: Addr) -> Option<Range<u64>> { let o = self.obj(a.0)?; let va = a.0 - o.base; let (s, (e, _)) = o.pads.range(..=va).next_back()?; (va < *e).then(|| o.base + s..o.base + e) } }
