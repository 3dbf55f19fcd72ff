//! How much of a template is read. Source: CloudFormation quotas; depth and aliases are ours.

/// Bytes of a template.
pub const TEMPLATE_BYTES_MAX: usize = 1_000_000;
/// Lists and objects within one another. CloudFormation gives no figure; deeper ones come from mistakes or malice.
pub const DEPTH_MAX: usize = 64;
/// Values in a template once its aliases are written out, against alias bombs. A template of a megabyte holds fewer.
pub const NODES_MAX: usize = 200_000;
/// Resources.
pub const RESOURCES_MAX: usize = 500;
/// Parameters.
pub const PARAMETERS_MAX: usize = 200;
/// Bytes of a parameter's value.
pub const PARAMETER_BYTES_MAX: usize = 4096;
/// Mappings.
pub const MAPPINGS_MAX: usize = 200;
/// Attributes of a mapping.
pub const MAPPING_ATTRIBUTES_MAX: usize = 200;
/// Rules. CloudFormation gives no figure; each may look at every parameter.
pub const RULES_MAX: usize = 200;
/// Outputs.
pub const OUTPUTS_MAX: usize = 200;
/// Characters of a name: logical ids, parameters, mappings, outputs.
pub const NAME_LENGTH_MAX: usize = 255;
/// Bytes of descriptions.
pub const DESCRIPTION_BYTES_MAX: usize = 1024;
