//! Every service of the gateway in one table: how it is recognised, which protocol it speaks, who answers.

use crate::{Access, Call, Gateway, Input, Reply, ServiceError};
use crate::{cloudformation, cloudwatch, events, iam, ivs, lambda, logs, native, ssm, sts};
use ::http::{HeaderMap, Method};
use headwater_model::Realm;

/// A service that answers here. S3 is not among them: see [`crate::s3`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Ivs,
    Iam,
    Sts,
    Events,
    Logs,
    Lambda,
    CloudFormation,
    CloudWatch,
    Ssm,
    Native,
}

/// How a service's requests and answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Operation by method and path, members as JSON.
    RestJson,
    /// Operation in `X-Amz-Target`, members as JSON.
    Json11,
    /// The same under its older version's media type.
    Json10,
    /// Operation in the path, members as CBOR: Smithy's RPC protocol.
    Cbor,
    /// Operation in the form parameter `Action`, answers as XML.
    Query,
}

/// What is known of a service.
pub(crate) struct Definition {
    pub service: Service,
    /// Service part of the credential scope; also the prefix of its actions in policies.
    pub signing_name: &'static str,
    pub protocol: Protocol,
    /// Before the dot in `X-Amz-Target` and after `/service/` in paths of Smithy's RPC protocol, or the query protocol's `Version`, or empty.
    pub target: &'static str,
    /// XML name space of the query protocol, or empty.
    pub namespace: &'static str,
    /// Most bytes of a request's body.
    pub body_bytes_max: usize,
}

/// Most bytes of a request's body, besides code packages and objects: a template is at most 1 MB
/// (CloudFormation quota), an event batch 256 KB.
const BODY_BYTES_MAX: usize = 10 << 20;
/// Lambda takes code packages up to 50 MB; in base64 they are 67 MB.
const CODE_BODY_BYTES_MAX: usize = 70 << 20;

pub(crate) const SERVICES: &[Definition] = &[
    Definition {
        service: Service::Ivs,
        signing_name: "ivs",
        protocol: Protocol::RestJson,
        target: "",
        namespace: "",
        body_bytes_max: BODY_BYTES_MAX,
    },
    Definition {
        service: Service::Iam,
        signing_name: "iam",
        protocol: Protocol::Query,
        target: "2010-05-08",
        namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
        body_bytes_max: BODY_BYTES_MAX,
    },
    Definition {
        service: Service::Sts,
        signing_name: "sts",
        protocol: Protocol::Query,
        target: "2011-06-15",
        namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
        body_bytes_max: BODY_BYTES_MAX,
    },
    Definition {
        service: Service::Events,
        signing_name: "events",
        protocol: Protocol::Json11,
        target: "AWSEvents",
        namespace: "",
        body_bytes_max: BODY_BYTES_MAX,
    },
    Definition {
        service: Service::Logs,
        signing_name: "logs",
        protocol: Protocol::Json11,
        target: "Logs_20140328",
        namespace: "",
        body_bytes_max: BODY_BYTES_MAX,
    },
    Definition {
        service: Service::Lambda,
        signing_name: "lambda",
        protocol: Protocol::RestJson,
        target: "",
        namespace: "",
        body_bytes_max: CODE_BODY_BYTES_MAX,
    },
    Definition {
        service: Service::CloudFormation,
        signing_name: "cloudformation",
        protocol: Protocol::Query,
        target: "2010-05-15",
        namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/",
        body_bytes_max: BODY_BYTES_MAX,
    },
    Definition {
        service: Service::CloudWatch,
        signing_name: "monitoring",
        protocol: Protocol::Query,
        target: "2010-08-01",
        namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
        body_bytes_max: BODY_BYTES_MAX,
    },
    Definition {
        service: Service::CloudWatch,
        signing_name: "monitoring",
        protocol: Protocol::Json10,
        target: "GraniteServiceVersion20100801",
        namespace: "",
        body_bytes_max: BODY_BYTES_MAX,
    },
    Definition {
        service: Service::CloudWatch,
        signing_name: "monitoring",
        protocol: Protocol::Cbor,
        target: "GraniteServiceVersion20100801",
        namespace: "",
        body_bytes_max: BODY_BYTES_MAX,
    },
    Definition {
        service: Service::Ssm,
        signing_name: "ssm",
        protocol: Protocol::Json11,
        target: "AmazonSSM",
        namespace: "",
        body_bytes_max: BODY_BYTES_MAX,
    },
    Definition {
        service: Service::Native,
        signing_name: "headwater",
        protocol: Protocol::RestJson,
        target: "",
        namespace: "",
        body_bytes_max: BODY_BYTES_MAX,
    },
];

impl Definition {
    /// The service with this name in the credential scope.
    pub(crate) fn by_signing_name(name: &str) -> Option<&'static Definition> {
        SERVICES.iter().find(|definition| definition.signing_name == name)
    }

    /// The same service in the protocol that a request speaks, if it has several.
    pub(crate) fn spoken(&'static self, headers: &HeaderMap) -> &'static Definition {
        let spoken = if headers.contains_key("smithy-protocol") {
            Protocol::Cbor
        } else if headers.contains_key("x-amz-target") {
            Protocol::Json10
        } else {
            return self;
        };
        let same = |other: &&Definition| other.service == self.service && other.protocol == spoken;
        SERVICES.iter().find(same).unwrap_or(self)
    }

    /// The service with this prefix in `X-Amz-Target`.
    pub(crate) fn by_target(target: &str) -> Option<&'static Definition> {
        let prefix = target.split('.').next()?;
        SERVICES.iter().find(|definition| {
            matches!(definition.protocol, Protocol::Json11 | Protocol::Json10) && definition.target == prefix
        })
    }
}

/// Operation and path members of a request to a service that names its operations by method and path. `path` is
/// percent-encoded as sent; the members that the path names come decoded.
pub(crate) fn route(service: Service, method: &Method, path: &str) -> Option<(String, Input)> {
    match service {
        Service::Ivs => ivs::route(method, path),
        Service::Lambda => lambda::route(method, path),
        Service::Native => native::route(method, path),
        _ => None,
    }
}

/// Which leave an operation needs.
pub(crate) fn access(definition: &Definition, realm: &Realm, operation: &str, input: &Input) -> Access {
    let named = match definition.service {
        Service::Ivs => ivs::access(realm, operation, input),
        Service::Iam => iam::access(realm, operation, input),
        Service::Sts => sts::access(realm, operation, input),
        Service::Events => events::access(realm, operation, input),
        Service::Logs => logs::access(realm, operation, input),
        Service::Lambda => lambda::access(realm, operation, input),
        Service::CloudFormation => cloudformation::access(realm, operation, input),
        Service::CloudWatch => cloudwatch::access(realm, operation, input),
        Service::Ssm => ssm::access(realm, operation, input),
        Service::Native => None,
    };
    named.unwrap_or_else(|| Access { action: format!("{}:{operation}", definition.signing_name), resource: "*".into() })
}

/// Has the service's module answer.
pub(crate) async fn call(service: Service, gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    match service {
        Service::Ivs => ivs::call(gateway, call).await,
        Service::Iam => iam::call(gateway, call).await,
        Service::Sts => sts::call(gateway, call).await,
        Service::Events => events::call(gateway, call).await,
        Service::Logs => logs::call(gateway, call).await,
        Service::Lambda => lambda::call(gateway, call).await,
        Service::CloudFormation => cloudformation::call(gateway, call).await,
        Service::CloudWatch => cloudwatch::call(gateway, call).await,
        Service::Ssm => ssm::call(gateway, call).await,
        Service::Native => native::call(gateway, call).await,
    }
}
