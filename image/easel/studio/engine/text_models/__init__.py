"""The text encoders of transformers that predict a flow: what words become before they are attended to."""
