//! The options of a socket.

use std::io;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::Options;

/// Sets what the options say. What a system cannot do is left out.
pub(super) fn prepare(stream: &TcpStream, options: &Options) -> io::Result<()> {
    stream.set_nodelay(options.nodelay)?;
    let Some(after) = options.keepalive else { return Ok(()) };
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(after).with_interval(after);
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "freebsd", target_os = "netbsd"))]
    let keepalive = keepalive.with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    // Keepalive asks only while nothing is on its way.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(after.saturating_mul(4)))?;
    Ok(())
}
