//! Names with a number in them: `shots/%05d.png`.

use crate::Error;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// A name whose file part has one `%d` or `%0Nd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    folder: PathBuf,
    before: String,
    after: String,
    /// Digits at least, filled up with zeros.
    digits: usize,
}

impl Numbered {
    /// `None` for a name without a number: then it is one file, whatever `%` it holds.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        let folder = if folder.is_empty() { "/" } else { folder };
        name.match_indices('%').find_map(|(at, _)| {
            let (digits, after) = name[at + 1..].split_once('d')?;
            let digits = match digits {
                "" => 1,
                // `parse` would take a sign.
                _ if !digits.bytes().all(|b| b.is_ascii_digit()) => return None,
                _ => digits.strip_prefix('0')?.parse().ok().filter(|n| (1..=9).contains(n))?,
            };
            Some(Numbered {
                folder: folder.into(),
                before: name[..at].into(),
                after: after.into(),
                digits,
            })
        })
    }

    /// The file of that number.
    #[must_use]
    pub fn path(&self, number: u32) -> PathBuf {
        let (before, after, digits) = (&self.before, &self.after, self.digits);
        self.folder.join(format!("{before}{number:0digits$}{after}"))
    }

    /// The number in the name of a file of the folder; `None` for a name that [`Numbered::path`] would not give.
    #[must_use]
    pub fn number(&self, name: &OsStr) -> Option<u32> {
        let digits = name.to_str()?.strip_prefix(&self.before)?.strip_suffix(&self.after)?;
        let canonical = digits.len() == self.digits || digits.len() > self.digits && !digits.starts_with('0');
        (canonical && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse().ok())
            .flatten()
    }

    /// The first number, `start` or the lowest that is there, and how many follow each other from it on.
    ///
    /// Reads the folder once.
    pub(crate) fn find(&self, start: Option<u32>) -> Result<(u32, u64), Error> {
        let mut numbers = numbers_in(&self.folder, |name| self.number(name))?;
        numbers.sort_unstable();
        let first = start.or_else(|| numbers.first().copied());
        let from = first.and_then(|first| Some((first, numbers.binary_search(&first).ok()?)));
        let Some((first, at)) = from else {
            return Err(Error::NothingFound {
                pattern: match start {
                    Some(number) => self.path(number).display().to_string(),
                    None => self.to_string(),
                },
            });
        };
        let run = (0..)
            .zip(&numbers[at..])
            .take_while(|(i, n)| u64::from(first) + i == u64::from(**n));
        Ok((first, run.count() as u64))
    }
}

impl std::fmt::Display for Numbered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = format!("%0{}d", self.digits);
        let name = format!("{}{number}{}", self.before, self.after);
        self.folder.join(name).display().fmt(f)
    }
}

fn numbers_in(folder: &Path, number: impl Fn(&OsStr) -> Option<u32>) -> Result<Vec<u32>, Error> {
    let failed = |source| {
        Error::Io(beamline_io::Error::Os {
            action: "list",
            name: folder.display().to_string(),
            source,
        })
    };
    let mut numbers = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        numbers.extend(number(&entry.map_err(failed)?.file_name()));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_as_printf_does() {
        let path = |pattern: &str, n| Numbered::parse(pattern).unwrap().path(n).display().to_string();
        assert_eq!(path("shots/%05d.png", 7), "shots/00007.png");
        assert_eq!(path("/a/b%d.jpg", 12), "/a/b12.jpg");
        assert_eq!(path("100%-%03d.png", 1), "./100%-001.png");
        for name in [
            "100%.png",
            "%5d.png",
            "%00d.png",
            "%0+5d.png",
            "%x.png",
            "%d/a.png",
            "a.png",
        ] {
            assert_eq!(Numbered::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_run_begins_at_the_lowest_number_and_ends_at_a_gap() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "s0003.png",
            "s0004.png",
            "s0006.png",
            "s7.png",
            "s00005.png",
            "s0005.jpg",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let numbered = Numbered::parse(&format!("{}/s%04d.png", folder.path().display())).unwrap();
        assert_eq!(numbered.find(None).unwrap(), (3, 2));
        assert_eq!(numbered.find(Some(6)).unwrap(), (6, 1));
        assert!(numbered.find(Some(5)).unwrap_err().to_string().contains("s0005.png"));
    }
}
