//! The handle on what a Data Center keeps: personal access tokens and sessions.

use chrono::{DateTime, TimeDelta, Utc};

use crate::data_center::DataCenter;
use crate::dc::{
    Kept, Pat, PatAsk, PatRequest, SESSION, Session, SessionAct, SessionEvent, TOKENS, pat_number,
    tokens_of,
};
use crate::fault::{Fault, Rule};
use crate::token::Token;

impl DataCenter {
    fn kept<T: Default>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        let mut world = self.sim().shared.world();
        let instance = world.instance_mut(self.host());
        instance
            .map(|instance| look(&mut instance.kept))
            .unwrap_or_default()
    }

    /// A rule for the requests about personal access tokens, such as
    /// `at_pats(Fault::DropAfter).method("POST").once()`.
    pub fn at_pats(&self, fault: Fault) -> Rule {
        self.at(TOKENS, fault)
    }

    /// A rule for logins, logouts and questions who is logged in.
    pub fn at_session(&self, fault: Fault) -> Rule {
        self.at(SESSION, fault)
    }

    fn at(&self, path: &str, fault: Fault) -> Rule {
        let path = self.settings().context_path + path;
        Rule::new(fault).host(self.host()).path(path)
    }

    /// Issues a personal access token of a name, which ends at a time, or never.
    pub fn named_pat(&self, user: &str, name: &str, end: Option<DateTime<Utc>>) -> Token {
        let token = self.pat(user);
        self.sim().change_token(token.id(), |record| {
            name.clone_into(&mut record.name);
            record.expires_at = end;
        });
        token
    }

    /// The personal access tokens of a user that were not revoked, the oldest first: those that
    /// take a slot. One that has expired is among them.
    pub fn pats_of(&self, user: &str) -> Vec<Pat> {
        tokens_of(&self.sim().shared.world(), self.host(), user)
    }

    /// The id in the list of a personal access token.
    pub fn pat_id(&self, token: &Token) -> Option<u64> {
        pat_number(token.id())
    }

    /// Leaves a personal access token out of the list, or puts it back; it goes on working.
    pub fn hide_pat(&self, id: u64, hide: bool) {
        self.configure(|settings| {
            settings.hidden_tokens.retain(|hidden| *hidden != id);
            if hide {
                settings.hidden_tokens.push(id);
            }
        });
    }

    /// Sets when a personal access token was made and when it ends, by its id in the log.
    pub fn set_token_life(&self, id: &str, made: DateTime<Utc>, ends: DateTime<Utc>) {
        self.sim().change_token(id, |token| {
            token.created = made;
            token.expires_at = Some(ends);
        });
    }

    /// Whether a personal access token of this secret works at this time.
    pub fn accepts(&self, secret: &str) -> bool {
        let now = self.sim().clock().now();
        let world = self.sim().shared.world();
        world
            .token_by_secret(secret)
            .filter(|token| token.host.as_deref() == Some(self.host()))
            .is_some_and(|token| world.token_over(token, now).is_none())
    }

    /// The id in the log of the token that has this secret.
    pub fn token_id(&self, secret: &str) -> Option<String> {
        let world = self.sim().shared.world();
        world
            .token_by_secret(secret)
            .map(|token| token.id.to_string())
    }

    /// The requests to the resource of personal access tokens that were processed, refused ones
    /// among them, in order.
    pub fn pat_requests(&self) -> Vec<PatRequest> {
        self.kept(|kept| kept.pat_requests.list())
    }

    /// The requests by a user to list, to make or to revoke; how often it was called.
    pub fn pat_requests_of(&self, user: &str, ask: PatAsk) -> Vec<PatRequest> {
        let mut requests = self.pat_requests();
        requests.retain(|request| {
            let by = request.user.as_deref();
            request.ask == ask && by.is_some_and(|by| by.eq_ignore_ascii_case(user))
        });
        requests
    }

    /// Empties the ledger of requests for personal access tokens; the numbers go on.
    pub fn clear_pat_requests(&self) {
        self.kept(|kept| kept.pat_requests.clear());
    }

    /// Lets unused sessions live so long.
    #[must_use]
    pub fn session_idle(self, life: TimeDelta) -> Self {
        self.configure(|settings| settings.session_idle_seconds = life.num_seconds());
        self
    }

    /// Whether a login wants more than a user name and a password.
    #[must_use]
    pub fn more_steps(self, wanted: bool) -> Self {
        self.configure(|settings| settings.more_steps = wanted);
        self
    }

    /// The sessions that live now, the oldest first.
    pub fn sessions(&self) -> Vec<Session> {
        let now = self.sim().clock().now();
        let idle = self.settings().session_idle_seconds;
        let mut sessions: Vec<Session> = self.kept(|kept| {
            let lives = |session: &&Session| session.lives(now, idle);
            kept.sessions.values().filter(lives).cloned().collect()
        });
        sessions.sort_by_key(|session| (session.begun, session.id.len(), session.id.clone()));
        sessions
    }

    /// How many sessions live now.
    pub fn live_sessions(&self) -> usize {
        self.sessions().len()
    }

    /// Whether the cookie `JSESSIONID` of this value works at this time. Asking is no use of it.
    pub fn accepts_session(&self, cookie: &str) -> bool {
        let now = self.sim().clock().now();
        let idle = self.settings().session_idle_seconds;
        self.kept(|kept| {
            let session = kept.sessions.get(cookie);
            session.is_some_and(|session| session.lives(now, idle))
        })
    }

    /// The id in the logs of the session that has this cookie.
    pub fn session_id(&self, cookie: &str) -> Option<String> {
        self.kept(|kept| kept.sessions.get(cookie).map(|session| session.id.clone()))
    }

    /// Logins and logouts that were processed, failed ones among them, in order.
    pub fn session_events(&self) -> Vec<SessionEvent> {
        self.kept(|kept| kept.events.list())
    }

    /// What a user's logins and logouts came to, in order.
    pub fn session_acts_of(&self, user: &str) -> Vec<SessionAct> {
        let events = self.session_events();
        let by = |event: &SessionEvent| {
            let by = event.user.as_deref();
            by.is_some_and(|by| by.eq_ignore_ascii_case(user))
        };
        events
            .iter()
            .filter(|event| by(event))
            .map(|event| event.act)
            .collect()
    }

    /// Logins that began a session, and logouts that ended one.
    pub fn logins_and_logouts(&self) -> (u64, u64) {
        let (mut logins, mut logouts) = (0, 0);
        for event in self.session_events() {
            match event.act {
                SessionAct::LoggedIn => logins += 1,
                SessionAct::LoggedOut => logouts += u64::from(event.session.is_some()),
                SessionAct::Refused
                | SessionAct::CaptchaRequired
                | SessionAct::MoreSteps
                | SessionAct::BasicDisabled
                | SessionAct::Malformed
                | SessionAct::NotLoggedIn => {}
            }
        }
        (logins, logouts)
    }

    /// Empties the ledger of logins and logouts; the numbers go on.
    pub fn clear_session_events(&self) {
        self.kept(|kept| kept.events.clear());
    }

    /// The instance is restarted: all sessions are gone.
    pub fn restart(&self) {
        self.kept(|kept| kept.sessions.clear());
    }

    /// Ends the sessions of a user, as an administrator can.
    pub fn end_sessions_of(&self, user: &str) {
        self.kept(|kept| {
            kept.sessions
                .retain(|_, session| !session.owner.eq_ignore_ascii_case(user));
        });
    }
}
