use rmi_core::Keyring;

/// Reads the keys again whenever SIGHUP says so; what cannot be read leaves those that were read before. Says on standard output which
/// of the two it was. Needs a runtime.
///
/// # Errors
///
/// The signal cannot be heard.
#[cfg(unix)]
pub fn reload_on_hangup(keyring: Keyring) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let keyring = keyring.clone();
            let read = tokio::task::spawn_blocking(move || keyring.reload()).await;
            crate::say(if matches!(read, Ok(Ok(()))) { "the keys were read again" } else { "the keys could not be read again" });
        }
    });
    Ok(())
}

/// There is no such signal here.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
pub fn reload_on_hangup(_: Keyring) -> std::io::Result<()> {
    Ok(())
}
