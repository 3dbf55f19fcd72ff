//! How much of a template is read. Source: CloudFormation quotas; depth and aliases are ours.

/// Bytes of a template.
pub const TEMPLATE_BYTES_MAX: usize = 1_000_000;
/// Lists and objects within one another. CloudFormation gives no figure; deeper ones come from mistakes or malice.
pub const DEPTH_MAX: usize = 64;
/// Values in a template once its aliases are written out, against alias bombs. A template of a megabyte holds fewer.
pub const NODES_MAX: usize = 200_000;
/// Bytes of a template's texts once its aliases are written out: a text of half a megabyte has an alias in four bytes.
pub const EXPANDED_BYTES_MAX: usize = 2 * TEMPLATE_BYTES_MAX;
/// Bytes that working out a template's functions may make, with [`STEP_BYTES`] for each value: `Fn::Sub` within `Fn::Sub` doubles a text with
/// every level. A template of the largest size whose texts pass through a dozen functions makes fewer.
pub const WORK_BYTES_MAX: usize = 16 * TEMPLATE_BYTES_MAX;
/// What a value counts for besides its text: about what it takes in memory.
pub const STEP_BYTES: usize = 32;
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
/// Bytes of a parameter's pattern.
pub const PATTERN_BYTES_MAX: usize = 4096;
/// Bytes of descriptions.
pub const DESCRIPTION_BYTES_MAX: usize = 1024;
