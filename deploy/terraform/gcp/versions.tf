# One deployment of Clove on Google Cloud: any number of machines, each with a kernel that dials out
# to a relay. `clove deploy gcp` copies this folder and writes its variables; docs/cloud.md has the whole.

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 5.30, < 8.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region

  default_labels = {
    clove-deployment = var.name
  }
}
