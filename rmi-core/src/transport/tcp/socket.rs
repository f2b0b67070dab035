//! The options of a socket.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::Options;

/// Sets what the options say. What a system cannot do is left out.
pub(super) fn prepare(stream: &TcpStream, options: &Options) -> io::Result<()> {
    stream.set_nodelay(options.nodelay)?;
    let Some(after) = options.keepalive else { return Ok(()) };
    // What systems take: no fraction of a second, and no more than 15 bits of them.
    let after = after.clamp(Duration::from_secs(1), Duration::from_secs(32_767));
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    async fn prepared(options: Options) -> TcpStream {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        prepare(&stream, &options).unwrap();
        stream
    }

    #[tokio::test]
    async fn signs_of_life_are_asked_for_as_the_options_say() {
        let stream = prepared(Options::default().keepalive(Duration::from_secs(7))).await;
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(7));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(28)));
    }

    #[tokio::test]
    async fn nobody_is_asked_where_the_options_say_so() {
        let stream = prepared(Options::default().keepalive(None)).await;
        assert!(!SockRef::from(&stream).keepalive().unwrap());
    }

    #[tokio::test]
    async fn small_frames_leave_at_once_unless_told_otherwise() {
        assert!(prepared(Options::default()).await.nodelay().unwrap());
        assert!(!prepared(Options::default().nodelay(false)).await.nodelay().unwrap());
    }
}
