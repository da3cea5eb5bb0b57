//! Files that others write: opened without waiting, read up to a limit, shown without what forges a line of the log.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a regular file. A FIFO without a writer would be waited for, and a device never ends.
///
/// # Errors
/// It can't be opened, or is something else.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // Asked of what was opened: the path may lead elsewhere by now.
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok((file, metadata))
}

/// Reads an open file up to `most` bytes.
///
/// # Errors
/// It can't be read, or is longer.
pub(crate) fn read(file: File, metadata: &Metadata, most: u64) -> io::Result<Vec<u8>> {
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} MiB", most >> 20));
    if metadata.len() > most {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok(bytes) }
}

/// The same of a text.
///
/// # Errors
/// See [`open`] and [`read`]; or it is not UTF-8.
pub(crate) fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let (file, metadata) = open(path)?;
    let bytes = read(file, &metadata, most)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// A path for a person to read. Control characters are escaped, and so are those that turn the direction of writing.
pub(crate) fn shown(path: &Path) -> String {
    let turns = |c| matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::new();
    for c in path.display().to_string().chars() {
        if c.is_control() || turns(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_forges_no_line_of_the_log() {
        let path = Path::new("a\n2026 INFO loaded\u{1b}[2J\u{202e}.wasm");

        assert_eq!(shown(path), "a\\n2026 INFO loaded\\u{1b}[2J\\u{202e}.wasm");
        assert_eq!(shown(Path::new("/plugins/größe \"1\".wasm")), "/plugins/größe \"1\".wasm");
    }

    #[test]
    fn what_never_ends_or_says_nothing_is_no_file() {
        let folder = std::env::temp_dir().join(format!("ai-api-fifo-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).expect("temporary folders can be made");
        let (fifo, long) = (folder.join("fifo"), folder.join("long"));
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo is everywhere");
        std::fs::write(&long, [b' '; 11]).expect("the folder is writable");

        for (path, says) in
            [(fifo.as_path(), "not a regular file"), (Path::new("/dev/zero"), "not a regular"), (&folder, "a folder")]
        {
            assert!(read_text(path, 10).is_err_and(|error| error.to_string().contains(says)), "{}", path.display());
        }
        assert!(read_text(&long, 10).is_err_and(|error| error.kind() == io::ErrorKind::FileTooLarge));
        assert!(read_text(&long, 11).is_ok());
        std::fs::remove_dir_all(folder).expect("it is ours");
    }
}
