//! What a resource type looks like from a template: properties, attributes, names, capabilities.

/// What sort of value a property takes. Scalars are coerced into one another as CloudFormation does: a number or a
/// boolean where text is wanted becomes its text, text that reads as a number or a boolean becomes one.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A whole number in this range, both ends included.
    Integer {
        /// Smallest.
        min: i64,
        /// Greatest.
        max: i64,
    },
    /// `true` or `false`.
    Flag,
    /// A list; a single value is not taken for a list of one.
    List(Box<Kind>),
    /// An object with these members and no others.
    Object(Vec<Property>),
    /// An object of any names with values of one kind.
    MapOf(Box<Kind>),
    /// Whatever JSON there is, such as a policy document.
    Json,
}

impl Kind {
    /// `[{Key, Value}]`, as most types take their tags.
    pub fn tags() -> Kind {
        Kind::List(Box::new(Kind::Object(vec![
            Property::new("Key", Kind::Text).required(),
            Property::new("Value", Kind::Text).required(),
        ])))
    }

    /// A list of such values.
    pub fn list(of: Kind) -> Kind {
        Kind::List(Box::new(of))
    }

    /// In words, for messages: `one of BASIC, STANDARD`.
    pub fn expected(&self) -> String {
        match self {
            Kind::Text => "text".into(),
            Kind::OneOf(allowed) => format!("one of {}", allowed.join(", ")),
            Kind::Integer { min, max } if *min == i64::MIN && *max == i64::MAX => "a whole number".into(),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Flag => "true or false".into(),
            Kind::List(_) => "a list".into(),
            Kind::Object(_) | Kind::MapOf(_) => "an object".into(),
            Kind::Json => "an object, a list or a scalar".into(),
        }
    }
}

/// Whether a property must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Required,
    /// It may be left out.
    Optional,
}

/// What a changed property does to an existing resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The resource is changed where it stands.
    InPlace,
    /// A new resource takes its place.
    Replace,
}

/// One property of a type, or one member of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// As templates write it.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether it must be given.
    pub presence: Presence,
    /// What changing it does; of members, their property's counts.
    pub change: Change,
}

impl Property {
    /// An optional property that is changed in place.
    pub fn new(name: &'static str, kind: Kind) -> Self {
        Property { name, kind, presence: Presence::Optional, change: Change::InPlace }
    }

    /// The same, but it must be given.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.presence = Presence::Required;
        self
    }

    /// The same, but changing it replaces the resource.
    #[must_use]
    pub fn replaces(mut self) -> Self {
        self.change = Change::Replace;
        self
    }
}

/// Which names `Fn::GetAtt` may ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Attributes {
    /// These.
    Known(Vec<&'static str>),
    /// Any: they come with a custom resource's answer.
    Any,
}

/// What becomes of properties that the schema does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// They are mistakes.
    Refused,
    /// They are handed on.
    Welcome,
}

/// Case of physical names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// As the stack and the logical id are written.
    Kept,
    /// All lowercase, as buckets need it.
    Lower,
}

/// How a name is made for a resource whose template gives none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The property that gives the name instead, if the type has one.
    pub property: Option<&'static str>,
    /// Longest name in characters.
    pub length_max: usize,
    /// Case of the made name.
    pub case: Case,
}

/// Which acknowledgement a caller owes for a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// None.
    Nothing,
    /// `CAPABILITY_IAM`, or `CAPABILITY_NAMED_IAM` if the naming property is given.
    Iam,
}

/// A resource type as templates see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// Such as `AWS::IVS::Channel`.
    pub type_name: &'static str,
    /// What may be said of it.
    pub properties: Vec<Property>,
    /// What may be asked of it.
    pub attributes: Attributes,
    /// What becomes of other properties.
    pub extra: Extra,
    /// How it gets its physical name.
    pub naming: Naming,
    /// What its use must be acknowledged with.
    pub acknowledge: Acknowledge,
}

/// Physical names of types without a rule of their own are cut to this many characters.
const NAME_LENGTH_DEFAULT: usize = 128;

impl Schema {
    /// A type without properties or attributes.
    pub fn new(type_name: &'static str) -> Self {
        Schema {
            type_name,
            properties: Vec::new(),
            attributes: Attributes::Known(Vec::new()),
            extra: Extra::Refused,
            naming: Naming { property: None, length_max: NAME_LENGTH_DEFAULT, case: Case::Kept },
            acknowledge: Acknowledge::Nothing,
        }
    }

    /// Adds a property.
    #[must_use]
    pub fn property(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    /// Says which attributes there are.
    #[must_use]
    pub fn attributes(mut self, names: &[&'static str]) -> Self {
        self.attributes = Attributes::Known(names.to_vec());
        self
    }

    /// Lets any attribute be asked for and any property be said.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.attributes = Attributes::Any;
        self.extra = Extra::Welcome;
        self
    }

    /// Says how physical names are made.
    #[must_use]
    pub fn named(mut self, property: &'static str, length_max: usize, case: Case) -> Self {
        self.naming = Naming { property: Some(property), length_max, case };
        self
    }

    /// Says that the type needs an IAM capability.
    #[must_use]
    pub fn needs_iam(mut self) -> Self {
        self.acknowledge = Acknowledge::Iam;
        self
    }

    /// The property of a name.
    pub fn find(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// Whether `Fn::GetAtt` may ask for this.
    pub fn has_attribute(&self, name: &str) -> bool {
        match &self.attributes {
            Attributes::Known(names) => names.contains(&name),
            Attributes::Any => true,
        }
    }
}
