"""The recurrent networks and the parts they are composed of."""
