//! The configuration's text on its way from the launcher: in memory that nobody can change any more, so that both
//! processes have read the same.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Bytes of it, at most; the configuration has a lower bound of its own.
const MOST: u64 = 16 << 20;

/// Ready to be handed over.
pub(super) fn given(text: &str) -> io::Result<OwnedFd> {
    let memory = memfd_create(
        "mantlet-configuration",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?;
    let mut file = File::from(memory);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// What was handed over.
pub(super) fn taken(beside: Vec<OwnedFd>) -> io::Result<String> {
    let Ok([memory]) = <[OwnedFd; 1]>::try_from(beside) else {
        return Err(io::Error::other("no text came"));
    };
    let mut text = String::new();
    File::from(memory).take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_arrives_and_cannot_be_changed() {
        let memory = given("servers: {}").unwrap();
        let copy = memory.try_clone().unwrap();
        assert!(File::from(copy).write_all(b"x").is_err());
        assert_eq!(taken(vec![memory]).unwrap(), "servers: {}");
    }
}
