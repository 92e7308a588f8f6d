//! What a person stored for a renewal: the seed, or a user name and a password, and client secrets.

use secrecy::{ExposeSecret, SecretString};

use crate::api::{Method, SecretKeyRef};
use crate::cluster::error::ClusterError;
use crate::cluster::grant_secret::{seed_digest, seed_print};
use crate::cluster::observe::fingerprints::{line_ends, password_prints};
use crate::cluster::observe::grant::Reading;
use crate::cluster::secret_index::Known;
use crate::cluster::source::{self, ReadValue, UserAndPassword};
use crate::core::facts::SeedState;
use crate::core::spec::{SourceError, TokenFormat};

impl Reading<'_> {
    /// Notes a Secret that the next renewal needs and that is gone: known from the watch, long before the
    /// renewal is due.
    pub(super) fn look_for_inputs(&mut self) {
        let needed: Vec<&str> = match self.facts.spec.auth.method() {
            Some(Method::OAuth2(oauth2)) => names(&oauth2.client_secret_refs),
            Some(Method::ClientCredentials(client)) => names(&client.client_secret_refs),
            Some(Method::Session(session)) => vec![&session.secret_ref.name],
            _ => return,
        };
        let is_gone = |name: &&&str| self.index.look(self.namespace(), name) == Known::Absent;
        let missing = needed
            .iter()
            .find(is_gone)
            .map(|name| SourceError::Missing {
                kind: "Secret",
                name: (*name).to_owned(),
            });
        if let Some(renewal) = &mut self.facts.renewal {
            renewal.missing = missing;
        }
    }

    /// Reads the refresh token in the user's Secret.
    pub(super) async fn read_seed(
        &mut self,
        reference: &SecretKeyRef,
    ) -> Result<Option<SourceError>, ClusterError> {
        let (version, read) = if let Some(Method::Session(_)) = self.facts.spec.auth.method() {
            let name = &reference.name;
            let read = source::read_login(self.cluster, self.index, self.namespace(), name).await?;
            self.see_values(read.values);
            (read.version, read.login.map(|login| self.see_login(login)))
        } else {
            let read =
                source::read_token(self.cluster, self.index, self.namespace(), reference).await?;
            self.see_values(read.values);
            (read.version, read.token.map(|token| self.see_seed(token)))
        };
        self.read.extend(version);
        let (state, problem) = match read {
            Ok(state) => (state, None),
            Err(problem) => {
                if matches!(problem, SourceError::Missing { .. }) {
                    let absent = Known::Absent;
                    self.index
                        .learn_from_read(self.namespace(), &reference.name, absent);
                }
                (SeedState::Missing, Some(problem))
            }
        };
        if let Some(renewal) = &mut self.facts.renewal {
            renewal.seed = state;
        }
        Ok(problem)
    }

    fn see_values(&mut self, values: Vec<ReadValue>) {
        let seen = line_ends(self.key, self.namespace(), values);
        self.facts.texts.extend(seen);
    }

    fn see_seed(&mut self, token: SecretString) -> SeedState {
        let state = SeedState::Read {
            digest: seed_digest(&token),
            print: seed_print(self.key, &token),
        };
        self.facts.form = TokenFormat::of(token.expose_secret());
        self.tokens.seed = Some(token);
        state
    }

    /// A password is identified by its keyed fingerprint only: a plain digest could be guessed.
    fn see_login(&mut self, login: UserAndPassword) -> SeedState {
        let prints = password_prints(self.key, &self.facts, &login.user, &login.password);
        if let Some(renewal) = &mut self.facts.renewal {
            renewal.login = (self.peer)(&prints);
        }
        let print = prints.here;
        self.facts.form = TokenFormat::of(login.password.expose_secret());
        self.tokens.login = Some(login);
        SeedState::Read {
            digest: print.as_str().to_owned(),
            print,
        }
    }

    /// Reads the client secrets, if they are about to be used.
    pub(super) async fn read_clients(
        &mut self,
        clients: &[SecretKeyRef],
    ) -> Result<Option<SourceError>, ClusterError> {
        // What was never seen before has not changed.
        let changed = clients
            .iter()
            .any(|client| self.is_recorded(&client.name) && self.has_changed(&client.name));
        if let Some(renewal) = &mut self.facts.renewal {
            renewal.clients_changed = changed;
        }
        if self.renews_next() {
            for client in clients {
                let read =
                    source::read_token(self.cluster, self.index, self.namespace(), client).await?;
                self.read.extend(read.version);
                self.see_values(read.values);
                match read.token {
                    Ok(token) => self.tokens.clients.push(token),
                    Err(problem) => return Ok(Some(problem)),
                }
            }
            if let Some(renewal) = &mut self.facts.renewal {
                renewal.clients_read = true;
            }
        }
        Ok(None)
    }
}

fn names(references: &[SecretKeyRef]) -> Vec<&str> {
    let names = references.iter().map(|reference| reference.name.as_str());
    names.collect()
}
