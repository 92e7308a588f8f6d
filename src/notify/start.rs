//! Puts together what sends notifications.

use std::sync::Arc;

use crate::api::Hosting;
use crate::clock::Clock;
use crate::net::{Network, TrustError};
use crate::notify::config::NotifyConfig;
use crate::notify::delivery::{Delivery, Observer, Permit};
use crate::notify::notifier::Notifier;

/// Starts to send notifications.
///
/// The administrator has allowed the hosts of the sinks, so they may have private addresses like a Data Center. Loopback and
/// link-local addresses need `--allowed-addresses`, because names of others may lead there.
///
/// # Errors
/// When there is no TLS.
pub fn start(
    config: NotifyConfig,
    network: &Network,
    clock: Clock,
    observer: Arc<dyn Observer>,
    permit: Permit,
) -> Result<Notifier, TrustError> {
    let delivery = Delivery {
        hosts: Arc::new(config.hosts.clone()),
        client: network.client(Hosting::DataCenter, None)?,
        clock,
        observer,
        permit,
        writers: Arc::default(),
        pace: config.pace,
    };
    Ok(Notifier::start(config, delivery))
}
