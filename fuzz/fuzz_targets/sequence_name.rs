//! Names with a number in them, as `shots/%05d.png`: what is taken names files of which the numbers are read back, and prints as a name
//! that means the same. An input is three lines: a number, a name with a number in it, the name of a file in the folder.
#![no_main]

use beamline_capture::backends::image::numbered::Numbered;
use libfuzzer_sys::fuzz_target;
use std::ffi::OsStr;

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (number, text, other) = (line().parse().unwrap_or(0), line(), OsStr::new(line()));
    if let Some(numbered) = Numbered::parse(text) {
        let path = numbered.path(number);
        assert_eq!(path.file_name().and_then(|name| numbered.number(name)), Some(number));
        assert_eq!(Numbered::parse(&numbered.to_string()).as_ref(), Some(&numbered));
        // Whatever lies in the folder: a file that counts is the one that its number names.
        if let Some(number) = numbered.number(other) {
            assert_eq!(numbered.path(number).file_name(), Some(other));
        }
    }
});
