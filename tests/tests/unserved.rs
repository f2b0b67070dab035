//! What a binding lets its callers reach has to be there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_core::{Endpoint, Memory, Native, Trust, endpoint::BuildError};
use rmi_tests::probe::{ProbeServer, Watch};

async fn start(only: &[&str]) -> Result<Endpoint, BuildError> {
    let trust = Trust::insecure().only(only.iter().copied());
    let builder = Endpoint::builder("agent").bind(Native::default(), Memory::new(), Trust::insecure()).bind(
        Native::default(),
        Memory::new(),
        trust,
    );
    builder.serve(ProbeServer::new(Watch::new().0)).start().await
}

#[tokio::test]
async fn what_callers_may_reach_is_served() {
    for fits in [&[][..], &["probe.echo"], &["probe.*"], &["Admin.hello", "Admin.*", "probe.who"]] {
        start(fits).await.unwrap();
    }
    for wrong in ["probe.ech", "Probe.echo", "dns.*", "probe", "*", "probe.", "", "Admin.helo", "probe.echo.x"] {
        let error = start(&["probe.echo", wrong]).await.unwrap_err();
        let named =
            matches!(&error, BuildError::NothingNamed { binding: 1, entry, served } if entry == wrong && served == "probe");
        assert!(named, "{error:?}");
        let said = format!(
            "the callers of binding 1 may reach `{wrong}`, which names nothing that is served; served are probe: correct it in \
             `Trust::only` (`Class.method`, or `Class.*`), or serve it"
        );
        assert_eq!(error.to_string(), said);
    }
}
