use super::{Alert, AlertSink};
use crate::{HttpTarget, HttpTargetError, Target};
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri};
use std::error::Error;

/// Posts each alert as JSON to a URL, on a connection of its own.
///
/// The body is `{"monitor": …, "objective": …, "from": …, "to": …, "value": …}`. An answer of status 400 or
/// above counts as not delivered. Without TLS: for `https`, implement [`AlertSink`] with a client of your
/// choice.
#[derive(Clone, Debug)]
pub struct WebhookAlerts {
    url: Uri,
}

impl WebhookAlerts {
    /// Posts to `url`.
    ///
    /// # Errors
    ///
    /// [`HttpTargetError::UnsupportedUrl`] when the URL is relative or its scheme is not `http`.
    pub fn new(url: Uri) -> Result<Self, HttpTargetError> {
        HttpTarget::get(url.clone()).map(|_target| Self { url })
    }
}

#[async_trait]
impl AlertSink for WebhookAlerts {
    async fn send(&self, alert: &Alert) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut request = Request::new(Bytes::from(serde_json::to_vec(alert)?));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        HttpTarget::request(request)?.send(0).await?;
        Ok(())
    }
}
