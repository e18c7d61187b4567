"""The intermediate representation: typed, frozen models that need only numpy."""
