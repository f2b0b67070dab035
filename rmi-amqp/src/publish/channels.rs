//! The two channels that frames go by.

use std::{sync::Arc, time::Duration};

use lapin::{Channel, options::ConfirmSelectOptions};
use rmi_core::transport::TransportError;
use tokio::time::{sleep, timeout};

use crate::{
    error::{disconnected, told},
    link::Generation,
};

/// One channel for what is confirmed, one for everything else.
#[derive(Debug)]
pub(super) struct Channels {
    pub(super) confirmed: Arc<Channel>,
    pub(super) plain: Arc<Channel>,
}

impl Channels {
    /// Opens both, after a while.
    pub(super) async fn open(generation: &Generation, within: Duration, after: Duration) -> Result<Self, TransportError> {
        if !after.is_zero() {
            sleep(after).await;
        }
        let plain = Arc::new(generation.channel(within).await?);
        Ok(Channels { confirmed: confirming(generation, within).await?, plain })
    }

    pub(super) fn are_open(&self) -> bool {
        self.confirmed.status().connected() && self.plain.status().connected()
    }
}

/// A channel in confirm mode.
pub(super) async fn confirming(generation: &Generation, within: Duration) -> Result<Arc<Channel>, TransportError> {
    let channel = generation.channel(within).await?;
    match timeout(within, channel.confirm_select(ConfirmSelectOptions::default())).await {
        Ok(Ok(())) => Ok(Arc::new(channel)),
        Ok(Err(error)) => Err(told("the broker does not confirm", error)),
        Err(_) => Err(disconnected(format!("the broker did not agree to confirm in {within:?}"))),
    }
}
