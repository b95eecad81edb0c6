"""ControlNets, references and IP-Adapters: from units of a request to what they add to a call."""
