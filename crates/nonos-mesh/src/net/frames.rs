//! Frames: bytes with their length in front, on a stream. Reads hostile bytes: a length above the protocol's limit ends
//! the stream before anything is allocated for it.

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use std::io;

/// How much is allocated before anything came.
const AT_ONCE_BYTES: usize = 32 << 10;

/// The next frame; none when the other side has closed the stream between two frames.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), bytes_max: usize) -> io::Result<Option<Bytes>> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > bytes_max {
        let why = format!("a frame of {length} bytes, at most {bytes_max} are allowed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    // As much as came, not as much as was said: a peer that stalls after the length holds no memory to speak of.
    let mut frame = Vec::with_capacity(length.min(AT_ONCE_BYTES));
    let mut rest = stream.take(length as u64);
    rest.read_to_end(&mut frame).await?;
    if frame.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(frame.into()))
}

/// Writes a frame, given in parts; it may rest in the stream's buffer until it is flushed.
pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), parts: &[&[u8]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    stream.write_all(&length.to_le_bytes()).await?;
    for part in parts {
        stream.write_all(part).await?;
    }
    Ok(())
}
