//! What Jira and Atlassian can answer, and what an answer means.

pub mod judgement;
pub mod permissions;
pub mod proxy;
pub mod site_wait;
pub mod token_list;
pub mod verdict;

pub use judgement::{Cause, Judgement, outage_reason};
pub use permissions::Permissions;
pub use proxy::ProxyFault;
pub use site_wait::{SiteWait, WaitCause};
pub use verdict::{Forbidden, Outage, Refusal, Resource, Verdict};
