//! `Headwater::Live::Site` and `Headwater::Live::Poll`.

use super::given::{Given, failed, made};
use crate::Control;
use crate::native::{self, DELAY_S_MAX, SITE_NAME_LENGTH_MAX, ScheduledPoll, Site};
use async_trait::async_trait;
use headwater_model::poll::Question;
use headwater_stacks::schema::{Case, Kind, Property, Schema};
use headwater_stacks::{Current, Made, Provider, ProviderError, Request, Updated};

/// The port of RTMPS, told where there is no listener.
const RTMPS_PORT: u16 = 443;

/// `Headwater::Live::Site`: the built-in site for a channel.
pub struct SiteProvider {
    control: Control,
    schema: Schema,
}

impl SiteProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let schema = Schema::new("Headwater::Live::Site")
            .named("Name", SITE_NAME_LENGTH_MAX, Case::Lower)
            .property(Property::new("Name", Kind::Text).replaces())
            .property(Property::new("ChannelArn", Kind::Text).required())
            .property(Property::new("Title", Kind::Text))
            .attributes(&["WebsiteUrl", "IngestServer", "IngestServerTls"]);
        SiteProvider { control: control.clone(), schema }
    }

    async fn put(&self, name: &str, request: &Request, owner: &str) -> Result<Made, ProviderError> {
        let given = Given(&request.properties);
        let site = Site {
            name: name.to_owned(),
            channel_arn: given.required("ChannelArn").to_owned(),
            title: given.text("Title").unwrap_or(&request.stack.name).to_owned(),
            owner: owner.to_owned(),
        };
        native::put_site(&self.control, site).await.map_err(failed)?;
        let endpoints = self.control.endpoints();
        let host = &endpoints.ingest_host;
        let attributes = [
            ("WebsiteUrl", self.control.sites().website_url(name)),
            ("IngestServer", format!("rtmp://{host}:{}/app/", endpoints.rtmp_port)),
            ("IngestServerTls", format!("rtmps://{host}:{}/app/", endpoints.tls_port.unwrap_or(RTMPS_PORT))),
        ];
        Ok(made(name, &attributes))
    }
}

#[async_trait]
impl Provider for SiteProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let name = Given(&request.properties).text("Name").unwrap_or(&request.proposal).to_ascii_lowercase();
        self.put(&name, &request, &request.token).await
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let name = current.physical_id.unwrap_or_default();
        Ok(Updated::InPlace(self.put(&name, &request, &current.token).await?))
    }

    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let proposed = || Given(&request.properties).text("Name").unwrap_or(&request.proposal).to_ascii_lowercase();
        let name = current.physical_id.unwrap_or_else(proposed);
        native::delete_site(&self.control, &name, &current.token).await.map_err(failed)
    }
}

/// `Headwater::Live::Poll`: a question that is put into the stream a while after it starts.
pub struct PollProvider {
    control: Control,
    schema: Schema,
}

/// Seconds after "Stream Start" unless the template says otherwise: viewers are there by then.
const DELAY_S_DEFAULT: u32 = 5;

impl PollProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let mut schema = Schema::new("Headwater::Live::Poll")
            .property(Property::new("ChannelArn", Kind::Text).required())
            .property(Property::new("Question", Kind::Text).required())
            .property(Property::new("Answers", Kind::list(Kind::Text)).required())
            .property(Property::new("DelaySeconds", Kind::Integer { min: 0, max: i64::from(DELAY_S_MAX) }))
            .property(Property::new("PollId", Kind::Text))
            .attributes(&["PollId"]);
        // It is the name of its rule.
        schema.naming.length_max = 64;
        PollProvider { control: control.clone(), schema }
    }

    async fn put(&self, name: &str, request: &Request, owner: &str) -> Result<Made, ProviderError> {
        let given = Given(&request.properties);
        let poll_id = given.text("PollId").unwrap_or(&request.logical_id).to_owned();
        let poll = ScheduledPoll {
            name: name.to_owned(),
            channel_arn: given.required("ChannelArn").to_owned(),
            question: Question {
                question: given.required("Question").to_owned(),
                answers: given.texts("Answers"),
                poll_id: poll_id.clone(),
            },
            delay_s: given.number("DelaySeconds").unwrap_or(DELAY_S_DEFAULT),
            owner: owner.to_owned(),
        };
        native::put_poll(&self.control, poll)
            .await
            .map_err(|error| ProviderError::leaving(failed(error).message, name))?;
        Ok(made(name, &[("PollId", poll_id)]))
    }
}

#[async_trait]
impl Provider for PollProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        self.put(&request.proposal, &request, &request.token).await
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let name = current.physical_id.unwrap_or_default();
        Ok(Updated::InPlace(self.put(&name, &request, &current.token).await?))
    }

    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let name = current.physical_id.unwrap_or(request.proposal);
        native::delete_poll(&self.control, &name, &current.token).await.map_err(failed)
    }
}
