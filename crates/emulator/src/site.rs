//! Places in a kernel's source.

use std::ffi::{CStr, c_char};

/// An instruction at a place in the source: two calls on one line are one site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// File name, without its folder.
    pub file: Box<str>,
    /// Line, from 1.
    pub line: u32,
    /// What stands there, in CUDA's or PTX's words: `__syncthreads`, `cp.async.wait_group` …
    pub instruction: Box<str>,
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}:{}", self.instruction, self.file, self.line)
    }
}

/// `emu::Site` of abi.h: string literals of the kernel's object, which outlives every launch.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawSite {
    what: *const c_char,
    file: *const c_char,
    line: i32,
}

// SAFETY: the pointers lead to constants.
unsafe impl Send for RawSite {}

impl RawSite {
    #[cfg(test)]
    pub(crate) fn of_tests() -> RawSite {
        RawSite { what: c"test".as_ptr(), file: c"folder/test.cu".as_ptr(), line: 1 }
    }

    fn what(&self) -> &CStr {
        // SAFETY: kernels pass string literals (EMU_SITE in abi.h).
        unsafe { CStr::from_ptr(self.what) }
    }

    fn file(&self) -> &CStr {
        // SAFETY: as for `what`: the value of __builtin_FILE().
        unsafe { CStr::from_ptr(self.file) }
    }

    /// The site's name for people.
    pub(crate) fn name(&self) -> Site {
        let path = self.file().to_string_lossy();
        Site {
            file: path.rsplit(['/', '\\']).next().unwrap_or_default().into(),
            line: self.line.unsigned_abs(),
            instruction: self.what().to_string_lossy().into(),
        }
    }

    /// Whether `other` is this place. Literals of one object are shared, so the strings are rarely read.
    pub(crate) fn is(&self, other: &RawSite) -> bool {
        self.line == other.line
            && (self.what == other.what || self.what() == other.what())
            && (self.file == other.file || self.file() == other.file())
    }

    /// Whether `site` names this place.
    pub(crate) fn is_named(&self, site: &Site) -> bool {
        self.line.unsigned_abs() == site.line && self.name() == *site
    }

    /// A key that tells the sites of one launch apart, for counting.
    pub(crate) fn key(&self) -> (usize, usize, i32) {
        (self.what as usize, self.file as usize, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_identity() {
        let site = RawSite::of_tests();
        assert_eq!(site.name().to_string(), "test at test.cu:1");
        assert!(site.is_named(&site.name()));
        // The same words at other addresses, as another object has them.
        let words = c"folder/test.cu".to_owned();
        let elsewhere = RawSite { file: words.as_ptr(), ..site };
        assert!(site.is(&elsewhere) && site.key() != elsewhere.key());
        assert!(
            !site.is(&RawSite { line: 2, ..site }) && !site.is(&RawSite { what: c"tes".as_ptr(), ..site })
        );
    }
}
