"""What authors of packages and providers get through `inference_models.developer_tools`."""
