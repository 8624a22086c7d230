//! What a place of a stack is called: its functions, or what it lies in. Step: trace → … → **view**.

use super::{Frame, Place, jit, parse_site};

/// The functions at a place, from the inside out, those that were inlined there too; of what has no symbols one that stands for
/// its file, in brackets.
pub fn functions(place: &str, found: Option<&Place>) -> Vec<Frame> {
    let frames = found.iter().flat_map(|place| &place.frames);
    // Without debug information a place is told as so many bytes into its function.
    let named = frames.filter_map(|frame| {
        let function = frame.function.split("+0x").next()?;
        (!function.is_empty()).then(|| Frame {
            function: function.to_owned(),
            ..frame.clone()
        })
    });
    let named: Vec<Frame> = named.collect();
    if !named.is_empty() {
        return named;
    }
    let function = match parse_site(place) {
        Some((shim, _)) if shim.starts_with("preload-") => "[loopscope]".to_owned(),
        Some((map, _)) if jit::is_map(map) => "[jit]".to_owned(),
        Some((module, _)) => format!("[{module}]"),
        // The vdso.
        None => place.to_owned(),
    };
    vec![Frame {
        function,
        ..Frame::default()
    }]
}

/// The function at a place, of this source file, is the C library's, Rust's own, or lent by the kernel: who called it is
/// meant.
pub fn is_library(place: &str, source: &str) -> bool {
    let module = parse_site(place).map_or(place, |(module, _)| module);
    let file = module.rsplit('/').next().unwrap_or_default();
    let all = ["libc.so", "libc-", "libpthread", "ld-linux", "ld-2."];
    let rusts = source.starts_with("/rustc/") || source.contains("/rustlib/src/rust/library/");
    rusts || file == "[vdso]" || all.iter().any(|name| file.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_is_told_from_others() {
        for place in [
            "libc.so.6+0x10",
            "/lib/libc-2.31.so+0x1",
            "[vdso]",
            "ld-linux-x86-64.so.2+0x1",
        ] {
            assert!(is_library(place, ""), "{place}");
        }
        for place in ["libcurl.so.4+0x10", "redis-server+0x1", "", "libc++.so+0x1"] {
            assert!(!is_library(place, "src/main.rs"), "{place}");
        }
        let std = "/rustc/0123abcd/library/std/src/time.rs";
        assert!(is_library("server+0x10", std));
    }

    #[test]
    fn a_place_is_its_functions_or_its_file() {
        let frame = |function: &str, file: &str| Frame {
            function: function.to_owned(),
            file: file.to_owned(),
            line: 1,
        };
        let told = |place: &str, frames: &[Frame]| {
            let found = (!frames.is_empty()).then(|| Place {
                frames: frames.to_vec(),
            });
            let names = functions(place, found.as_ref()).into_iter();
            names.map(|frame| frame.function).collect::<Vec<_>>()
        };
        let inlined = [frame("inner", "a.c"), frame("outer", "b.c")];
        assert_eq!(told("x+0x1", &inlined), ["inner", "outer"]);
        assert_eq!(told("x+0x1", &[frame("poll_loop+0x1c", "")]), ["poll_loop"]);
        assert_eq!(
            told("redis-server+0x4a", &[frame("", "a.c")]),
            ["[redis-server]"]
        );
        for (place, name) in [
            ("[vdso]", "[vdso]"),
            ("preload-12.so+0x7", "[loopscope]"),
            ("perf-12.map+0x7f00", "[jit]"),
        ] {
            assert_eq!(told(place, &[]), [name]);
        }
    }
}
