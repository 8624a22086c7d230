//! `write_all` and `read_exact` as the standard library has them, so that each of their calls is recorded at the
//! program's call site instead of one inside the standard library. Step: **event** → ring.

use std::io;

/// Writes all of `bytes` by as many calls as it takes.
#[cold]
pub(super) fn write(
    mut bytes: &[u8],
    mut once: impl FnMut(&[u8]) -> io::Result<usize>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match once(bytes) {
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::WriteZero,
                    "failed to write whole buffer",
                ));
            }
            Ok(n) => bytes = bytes.get(n..).unwrap_or(&[]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `buffer` by as many calls as it takes.
#[cold]
pub(super) fn read(
    mut buffer: &mut [u8],
    mut once: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<()> {
    while !buffer.is_empty() {
        match once(buffer) {
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "failed to fill whole buffer",
                ));
            }
            Ok(n) => buffer = buffer.get_mut(n..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
