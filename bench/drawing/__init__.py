"""Pictures that measurements make; nothing here is a measurement of its own."""
