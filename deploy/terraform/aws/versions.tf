# One deployment of Clove on AWS: any number of machines, each with a kernel that dials out to a relay.
# `clove deploy aws` copies this folder and writes its variables; docs/cloud.md has the whole.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Name               = "clove-${var.name}"
      "clove:deployment" = var.name
    }
  }
}
