use std::fmt;

/// A URL that may hold a password: only [`expose`](Self::expose) tells it.
///
/// `Debug` and `Display` leave out whoever logs in and all parameters. What they show is meant for logs.
///
/// ```
/// use perfkit::settings::SecretUrl;
///
/// let url = SecretUrl::from("postgres://app:p/w@db.internal:5432/flights?sslpassword=x");
/// assert_eq!(url.to_string(), "postgres://***@db.internal:5432/flights?***");
/// assert_eq!(format!("{url:?}"), "SecretUrl(postgres://***@db.internal:5432/flights?***)");
/// assert!(url.expose().starts_with("postgres://app:p/w@"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The whole URL, for whoever connects.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon, in lower case: `"postgres"`.
    #[must_use]
    pub fn scheme(&self) -> String {
        let scheme = self.0.split_once(':').map_or("", |(scheme, _)| scheme);
        scheme.to_ascii_lowercase()
    }
}

impl From<String> for SecretUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl From<&str> for SecretUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once(':') else {
            return f.write_str("***");
        };
        let slashes = if rest.starts_with("//") { "//" } else { "" };
        let rest = &rest[slashes.len()..];
        let (rest, parameters) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        // Passwords are seldom encoded as they should be: one may hold any of the marks that divide a URL.
        if parameters.contains('@') {
            return write!(f, "{scheme}:{slashes}***");
        }
        let (login, place) = match rest.rsplit_once('@') {
            Some((_, place)) => ("***@", place),
            None => ("", rest),
        };
        let parameters = if parameters.is_empty() { "" } else { "?***" };
        write!(f, "{scheme}:{slashes}{login}{place}{parameters}")
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_login_is_shown() {
        for url in [
            "redis://:hunter@localhost",
            "postgres://u:hunter@hunter@localhost/db",
            "postgres://u:hunter?hunter@localhost",
            "postgres://u:hunter/hunter@localhost",
            "postgres://localhost/db?password=hunter",
            "postgres://u:hunter@localhost/?mail=a@hunter",
            "hunter",
            "mysql:hunter@localhost",
            "postgres://localhost/#hunter",
        ] {
            let shown = SecretUrl::from(url).to_string();
            assert!(!shown.contains("hunter"), "{url} is shown as {shown}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for url in [
            "sqlite::memory:",
            "sqlite:data/flights.db",
            "redis://localhost:6379/2",
        ] {
            assert_eq!(SecretUrl::from(url).to_string(), url);
        }
    }
}
